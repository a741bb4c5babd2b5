"""`cva export-model`: a model and its manifest in a folder."""
