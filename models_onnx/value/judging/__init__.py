"""How good a model is: metrics, rules, benchmarks, the back-test."""
