"""A board in simulation: the whole design, driven at the pins of its serial line."""
