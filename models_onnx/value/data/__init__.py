"""What the value model learns from: cutoff dates, examples, the shop's past, the matrix."""
