"""The fitted model as an ONNX graph."""
