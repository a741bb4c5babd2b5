"""Rows as the members see them, in numpy and in the ONNX graph."""
