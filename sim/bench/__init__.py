"""Test benches that run under cocotb: for one unit, and for a whole network."""
