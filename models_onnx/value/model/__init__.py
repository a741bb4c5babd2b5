"""A fitted value model: what it predicts, its ONNX graph, its manifest."""
