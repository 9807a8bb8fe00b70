"""HTML pages, figures and pictures."""
