"""Silicon: what the generated Verilog becomes on named devices."""
