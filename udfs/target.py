"""What a value model predicts, and whether it is what the shop asks for by `cva_target`."""

from __future__ import annotations

from pathlib import Path

from cva_sql.udfs.manifest import read_manifest
from cva_sql.udfs.sessions import deployed_folder

TARGETS = ("spend", "margin", "orders", "labels")


def target_problem(models_dir: Path, wanted: str) -> str:
    """Why the deployed value model does not predict `wanted`, and what to do; '' where it does.

    Raises ModelError where it cannot be read.
    """
    manifest = read_manifest(deployed_folder(models_dir))
    if manifest.target == wanted:
        return ""
    train = f"train one with: cva train --vars '{{cva_target: {wanted}}}'"
    if manifest.is_baseline:
        return (
            f"cva_target is {wanted}; no trained model is deployed, and the packaged rule "
            f"predicts {manifest.target} alone; {train}"
        )
    return (
        f"cva_target is {wanted}; the deployed model {manifest.version} predicts "
        f"{manifest.target}; set cva_target: {manifest.target}, or {train}"
    )
