"""`cva_<kind>`: one SQL function for each deployed model of a kind other than the value model."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import read_manifest
from cva_sql.udfs.predict import kind_type, predict_kind
from cva_sql.udfs.sessions import VALUE, deployed_folder, deployed_versions, load_model

NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class KindFunction:
    """A SQL function over a row of features."""

    name: str
    return_type: str
    score: Callable[[Any], Any]


def kind_functions(models_dir: Path, taken: Collection[str]) -> Iterator[KindFunction]:
    """The functions of what is deployed now; the model behind one is looked up at each call.

    A kind that cannot be served is left out with a line on stderr: it must not stop the value
    model from scoring, nor `cva train` from mending it. `taken` are names that others have.
    """
    for kind in sorted(_deployed_kinds(models_dir)):
        # As it is spelt: the name is anybody's text until it was looked at.
        name = f"cva_{kind.encode('unicode_escape').decode()}"
        try:
            if not NAME.fullmatch(kind) or name in taken:
                raise ModelError(f"a kind cannot be called {name.removeprefix('cva_')}")
            manifest = read_manifest(deployed_folder(models_dir, kind))
        except ModelError as error:
            sys.stderr.write(f"cva: {name} is not there: {error}\n")
            continue
        yield KindFunction(
            name, kind_type(manifest.outputs), _scorer(models_dir, kind, manifest.outputs)
        )


def _deployed_kinds(models_dir: Path) -> list[str]:
    """Without the value model; none where `deployed.json` is broken, as its own functions say."""
    try:
        return [kind for kind in deployed_versions(models_dir) if kind != VALUE]
    except ModelError:
        return []


def _scorer(models_dir: Path, kind: str, outputs: tuple[str, ...]) -> Callable[[Any], Any]:
    def score(rows: Any) -> Any:
        model = load_model(deployed_folder(models_dir, kind))
        if model.manifest.outputs != outputs:
            raise ModelError(
                f"{kind} model {model.manifest.version} has other outputs than the one before it; "
                "open the database again"
            )
        return predict_kind(model, rows)

    return score
