"""The value model: what each customer will spend, learned from the past, in one ONNX file.

A subpackage imports only those above it here:

- `arrays`: array types and link functions
- `settings`: what may be set of a member
- `data`: training examples, cutoff dates, the shop's past
- `judging`: metrics, their bootstrap intervals, the reference rules
- `graph`: what an ONNX graph is built with: trees, dense layers; the packaged rule
- `estimators`: buy till you die, linear regressions, LightGBM
- `preparation`: rows as the members see them, in numpy and in the graph
- `members`: the members of the ensemble, a file each, and the networks that may join it
- `total`: what all customers together will spend, and the calibration to it
- `model`: a fitted model, its graph and its manifest
- `training`: fitting, validation forward in time, choice
- `added`: value models made elsewhere
- `backtesting`: the back-test with benchmarks and ablation
"""
