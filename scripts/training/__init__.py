"""Training in PyTorch, and the digits that ship."""
