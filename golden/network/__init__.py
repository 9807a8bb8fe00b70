"""The network as data: its graph, the networks that ship, trained weights, and the float model."""
