"""Simulators: which are installed, what is built for them, and their processes."""
