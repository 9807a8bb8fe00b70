"""From ONNX operators to the layers of a network."""
