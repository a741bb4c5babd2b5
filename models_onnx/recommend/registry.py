"""The candidates that there are, in the order of their names."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from cva_sql.models_onnx.declared import declared
from cva_sql.models_onnx.recommend import candidates
from cva_sql.models_onnx.recommend.contract import EXTRA, Candidate

PACKAGES = {EXTRA: "implicit"}  # what an extra brings


def all_candidates() -> list[Candidate]:
    """Every module of `candidates/` with an attribute `CANDIDATE` whose extra is installed."""
    return [one for one in declared(candidates, "CANDIDATE") if _is_installed(one)]


def not_installed(names: Sequence[str] | None = None) -> list[str]:
    """The candidates, of `names` or of all, whose extra is not installed."""
    return [
        one.name
        for one in declared(candidates, "CANDIDATE")
        if not _is_installed(one) and (names is None or one.name in names)
    ]


def _is_installed(candidate: Candidate) -> bool:
    return candidate.extra is None or find_spec(PACKAGES[candidate.extra]) is not None
