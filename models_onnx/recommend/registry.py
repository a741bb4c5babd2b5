"""The candidates that there are, in the order of their names."""

from __future__ import annotations

from cva_sql.models_onnx.declared import declared
from cva_sql.models_onnx.recommend import candidates
from cva_sql.models_onnx.recommend.contract import Candidate


def all_candidates() -> list[Candidate]:
    """Every module of `candidates/` with an attribute `CANDIDATE`."""
    found: list[Candidate] = declared(candidates, "CANDIDATE")
    return found
