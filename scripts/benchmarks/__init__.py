"""Benchmarks: what `make bench` and its relatives measure."""
