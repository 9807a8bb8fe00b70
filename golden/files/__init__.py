"""Files: the `.npz` container, IDX, JSON, data sets, and files written whole or not at all."""
