"""The units: a module for each layer type, and the two ends of an accelerator."""
