"""Which encoder reads a shop's texts: its own, or one of the two that cva comes with."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from cva_sql.udfs.errors import UsageError
from cva_sql.udfs.manifest import MANIFEST_FILE

EXACT, FAST = "exact", "fast"  # the same weights: computed in single precision, or in whole numbers
FOLDERS = {EXACT: "encoder", FAST: "encoder_fast"}  # among the packaged artefacts
TIERS = tuple(FOLDERS)
TIER_VAR = "cva_encoder_tier"
PACKAGED_VARIABLE = "CVA_PACKAGED_ENCODER"  # of the environment: any word asks for that one


def check_tier(given: object) -> str:
    """The tier of this name; raises UsageError for one that there is not."""
    if given not in TIERS:
        raise UsageError(f"{TIER_VAR} is {given!r}; expected {' or '.join(TIERS)}")
    return str(given)


def encoder_folder(models_dir: Path, tier: str = EXACT) -> Path:
    """`encoder/` among the shop's models where there is one, else the packaged encoder of a tier.

    The packaged one as well where the environment asks for it: a back-test of dates before those
    that an encoder was taught until must not read by that.
    """
    own = models_dir / "encoder"
    if os.path.lexists(own / MANIFEST_FILE) and not os.environ.get(PACKAGED_VARIABLE):
        return own
    return packaged_folder(tier)


def packaged_folder(tier: str = EXACT) -> Path:
    """Where the encoder of a tier is that cva comes with."""
    return Path(str(files("cva_sql.models_onnx"))) / "artefacts" / FOLDERS[tier]
