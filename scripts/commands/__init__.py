"""The commands of `systolith`: a thin module each."""
