"""The members of the ensemble: a file each with an attribute `MEMBER`, found by `registry.py`.

`contract.py` says what a member is. A new one is its file here and its test.
"""
