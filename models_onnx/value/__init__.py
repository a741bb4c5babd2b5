"""The value model: training, back-test, metrics, export."""
