"""Accuracy reports as data: evaluation, comparison, advice."""
