"""The kinds of models that `cva train` makes: a file each with an attribute `KIND`.

`contract.py` says what a kind is, `registry.py` finds them. A new one is its file here, the mart
that shows it (sql and yml, by macro `cva.model_scores`) and its test.
"""
