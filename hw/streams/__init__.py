"""Streams between components: beats, pipelines, buffers, and the cycle model."""
