"""Learns a column of any table of customers, without orders: one ONNX file and a manifest."""
