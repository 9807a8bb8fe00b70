"""Sweeps: many settings, scored on several processes, with cached results."""
