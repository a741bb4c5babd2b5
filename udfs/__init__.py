"""The light run-time: model contract, ONNX sessions, SQL functions, dbt-duckdb plugin."""
