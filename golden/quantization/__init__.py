"""Quantization: settings, calibration, and the quantized network that comes of them."""
