"""`cva train`: examples from the past, a fitted and validated model, its deployment."""
