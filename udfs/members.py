"""What each member of a value model predicts alone: the file beside the model's, when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import (
    MEMBERS_FILE,
    RETRAIN,
    Manifest,
    MembersFile,
    inputs_from_columns,
    read_model,
)
from cva_sql.udfs.model_files import check_inside, read_checked
from cva_sql.udfs.predict import run_session
from cva_sql.udfs.sessions import ValueModel, check_fits, open_session

Floats = NDArray[np.float64]
SUFFIX = "_log_value"  # of an output: a member may be called as a feature is


def check_files(folder: Path, manifest: Manifest) -> bytes:
    """The model's file; raises ModelError where one of the folder is not the manifest's."""
    data = read_model(folder, manifest)
    if manifest.members is not None:
        _read(folder, manifest.members)
    return data


def members_of(manifest: Manifest) -> MembersFile:
    """What is said of a model's members; raises ModelError, with the reason, where nothing is."""
    if manifest.members is not None:
        return manifest.members
    if manifest.is_baseline:
        raise ModelError(
            "the packaged rule scores and has no members; train a model that has: cva train"
        )
    if manifest.training.get("added"):
        raise ModelError(
            f"{manifest.version} was added by cva models add and has no members; leave out "
            "--members, or let a trained model score: cva models list"
        )
    raise ModelError(
        f"{manifest.version} has no {MEMBERS_FILE}: it was made before there was one, or exported; "
        "cva train gives a model that has"
    )


def open_members(manifest: Manifest, data: bytes) -> ValueModel:
    """The file of a manifest's members, ready to run; raises ModelError where it cannot be."""
    names = tuple(f"{name}{SUFFIX}" for name in members_of(manifest).weights)
    model = ValueModel(replace(manifest, name="members", outputs=names), open_session(data))
    check_fits(model.manifest, model.session)
    return model


def run_members(
    model: ValueModel, inputs: Mapping[str, NDArray[Any]], rows: int
) -> dict[str, Floats]:
    """Member -> log of what it predicts alone at the model's level, each of shape (rows,)."""
    found = run_session(model, inputs, rows)
    return {name.removesuffix(SUFFIX): values for name, values in found.items()}


def predict_members(
    folder: Path, manifest: Manifest, columns: Mapping[str, Any], rows: int
) -> dict[str, Floats]:
    """The same for Arrow columns by feature name, by the file in a model's folder.

    Raises ModelError where there is none, or another than the manifest says.
    """
    model = open_members(manifest, _read(folder, members_of(manifest)))
    return run_members(model, inputs_from_columns(manifest, columns, rows), rows)


def _read(folder: Path, members: MembersFile) -> bytes:
    check_inside(folder, (MEMBERS_FILE,))
    return read_checked(folder / MEMBERS_FILE, members.sha256, RETRAIN)
