"""Fixed point: the arithmetic, a network's integers, and their exact execution."""
