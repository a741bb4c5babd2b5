"""What would have been deployed on past dates, beside benchmarks and without its ingredients."""
