"""Verilog, its manifest, and the folder that both stand in."""
