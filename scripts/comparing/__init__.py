"""Comparing: where reports come from, comparisons as JSON and CSV, and trials on all cores."""
