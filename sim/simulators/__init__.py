"""Simulators: finding them, building for them, caching builds, running their processes."""
