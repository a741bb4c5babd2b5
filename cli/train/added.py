"""The value models made elsewhere that lie in the models folder; `adding.py` puts them there."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.train.terms import known_features
from cva_sql.udfs.errors import ModelError, UsageError
from cva_sql.udfs.manifest import Manifest, read_manifest
from cva_sql.udfs.model_files import check_inside, read_file
from cva_sql.udfs.sessions import VALUE

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.models_onnx.value.added.given import AddedFile, Given
    from cva_sql.models_onnx.value.data.terms import Terms

GIVEN_FILE = "given.onnx"  # beside MODEL_FILE: the file as it was brought
AGAIN = "add it again with: cva models add FILE --name {name} --replace"


@dataclass(frozen=True)
class Added:
    """An added model in the models folder, the newest of its name."""

    name: str
    folder: Path
    manifest: Manifest

    @property
    def version(self) -> str:
        """Its version, as `cva models list` shows it."""
        return self.manifest.version

    @property
    def trained_until(self) -> date:
        """What it was trained on ends before this date."""
        return date.fromisoformat(self.manifest.training["added"]["trained_until"])


def added_models(models_dir: Path) -> dict[str, Added]:
    """Name -> its newest model, by name; a folder that cannot be read is none."""
    found: dict[str, Added] = {}
    root = models_dir / VALUE
    folders = sorted(root.iterdir()) if root.is_dir() else []
    for folder in folders:
        try:
            check_inside(folder)
            manifest = read_manifest(folder)
        except ModelError:
            continue
        facts, name = manifest.training.get("added"), str(manifest.training.get("kind"))
        if facts is None or manifest.version != folder.name:
            continue
        if name not in found or _when(found[name].manifest) < _when(manifest):
            found[name] = Added(name, folder, manifest)
    return dict(sorted(found.items()))


def _when(manifest: Manifest) -> str:
    return str(manifest.training["added"]["at"])


def given_of(added: Added, known: dict[str, str]) -> Given:
    """The file that was brought; raises ModelError where it is another, UsageError where inputs of
    it have no feature any more."""
    from cva_sql.models_onnx.value.added.given import Given, Input

    facts, remedy = added.manifest.training["added"], AGAIN.format(name=added.name)
    check_inside(added.folder, (GIVEN_FILE,))
    data = read_file(added.folder / GIVEN_FILE, remedy)
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise ModelError(f"{added.folder / GIVEN_FILE} is not the file that was added; {remedy}")
    given = Given(data, (), facts["output"])
    types = given.session.inputs()
    inputs = tuple(Input(name, types[name], tuple(f)) for name, f in facts["inputs"].items())
    missing = [name for one in inputs for name in one.features if name not in known]
    if missing:
        raise UsageError(
            f"{added.name} reads {', '.join(missing)}, which models may not learn from or which is "
            "not there (cva_features_off, cva_families_off)"
        )
    return Given(data, inputs, facts["output"])


def check_added(name: str, features: Collection[str], terms: Terms) -> None:
    """Raises UsageError where a direction is asked for a feature that an added model reads."""
    asked = sorted({*features} & terms.monotone.keys())
    if asked:
        raise UsageError(
            f"{name} reads {', '.join(asked)}, and nothing says that it keeps to cva_monotone; "
            "leave that out of the var, or let another model score"
        )


def added_to_score(shop: ResolvedShop, added: Added, terms: Terms) -> Given:
    """The file of an added model that is to score; raises UsageError where it may not."""
    known = known_features(shop)
    given = given_of(added, {n: k for n, k in known.items() if n not in terms.features_off})
    check_added(added.name, given.features, terms)
    return given


def refuse_other_target(shop: ResolvedShop) -> None:
    """Raises UsageError where the shop asks for something else than what added models say."""
    if shop.target != "spend":
        raise UsageError(
            f"cva_target is {shop.target}, and an added model is judged by spend: "
            "--vars '{cva_target: spend}'"
        )


def added_files(shop: ResolvedShop) -> list[AddedFile]:
    """The added models as a back-test takes them; one that cannot be read is said and left out."""
    from cva_sql.cli.shop.progress import say
    from cva_sql.models_onnx.value.added.given import AddedFile

    if shop.target != "spend":
        return []  # what they say is spend
    found = []
    for added in added_models(shop.models_dir).values():
        try:
            given = given_of(added, known_features(shop))
        except (ModelError, UsageError) as error:
            say(f"  {added.name} is left out: {error}")
            continue
        days = added.manifest.horizon_days or shop.horizon_days
        found.append(AddedFile(added.name, given, added.trained_until, days))
    return found
