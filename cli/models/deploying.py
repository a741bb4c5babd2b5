"""Lets a model score, once its file was found sound, and says so."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from cva_sql.cli.models.choosing import Strategy
from cva_sql.cli.models.inventory import RULE, Model, chosen_model
from cva_sql.cli.shop.shop import ResolvedShop


def deploy_version(
    shop: ResolvedShop,
    version: str,
    kind: str = "value",
    *,
    command: str = "models deploy",
    strategy: Strategy | None = None,
) -> None:
    """Deploys a version whose file is sound, or the rule of a kind."""
    from cva_sql.cli.shop.history import Entry, recorded
    from cva_sql.cli.shop.lock import exclusive
    from cva_sql.cli.shop.model_store import deploy, note_deployed, withdraw
    from cva_sql.cli.shop.owner import Owned, claim

    is_there = shop.db.is_file()
    with (
        exclusive(shop) if is_there else nullcontext(),
        recorded(shop.db, "models deploy") if is_there else nullcontext(Entry()) as entry,
    ):
        entry.model_version = version
        model = sound_model(shop, version)
        claim(shop, Owned.MODELS)
        if model is None:
            withdraw(shop.models_dir, kind)
        else:
            deploy(shop.models_dir, model.version, Path(model.folder).parent.name)
        if is_there:
            note_deployed(shop, command, strategy.value if strategy else None)
    scoring = chosen_model(shop.models_dir, None) if kind == "value" else None
    print(
        f"deployed {version}"
        + (f"; {scoring.version} scores" if scoring else "")
        + f"\nnext: {shop.command('run')}"
    )


def sound_model(shop: ResolvedShop, version: str) -> Model | None:
    """The trained model of a version, whose file can run; None for a rule. Nothing is written."""
    from cva_sql.udfs.manifest import read_manifest, read_model
    from cva_sql.udfs.sessions import load_model

    if version == RULE:
        return None
    model = chosen_model(shop.models_dir, version)
    if model.kind == RULE:
        return None
    folder = Path(model.folder)
    read_model(folder, read_manifest(folder))
    load_model(folder)  # one that cannot run would stop the next run
    _check_directions(shop, model)
    return model


def _check_directions(shop: ResolvedShop, model: Model) -> None:
    """Raises UsageError where an added model reads a feature of the project's cva_monotone."""
    from cva_sql.cli.train.added import check_added
    from cva_sql.cli.train.terms import read_terms
    from cva_sql.udfs.manifest import read_manifest

    added = read_manifest(Path(model.folder)).training.get("added")
    if added:
        read = {name for names in added["inputs"].values() for name in names}
        check_added(model.kind, read, read_terms(shop))
