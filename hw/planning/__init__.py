"""Planning: the folding of a network under a budget, its cycles and its buffers."""
