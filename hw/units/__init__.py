"""One unit a layer type, and what stands at the two ends of an accelerator."""
