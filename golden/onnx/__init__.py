"""ONNX models: quantized networks written, trained ones read."""
