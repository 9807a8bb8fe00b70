"""What passes between components: streams, pipelines, buffers, and their cycle model."""
