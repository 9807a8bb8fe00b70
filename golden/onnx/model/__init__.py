"""An ONNX file as plain data, read without trusting it."""
