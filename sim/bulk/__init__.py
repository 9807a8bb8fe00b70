"""The bulk engine: many images on Verilator, with a C++ loop around the model."""
