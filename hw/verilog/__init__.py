"""Writes Verilog, its manifest, and the folder of both; wraps Verilog for simulators."""
