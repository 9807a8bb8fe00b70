"""Comparing: where reports come from, and comparisons as JSON and CSV."""
