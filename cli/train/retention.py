"""Which models are kept: old ones that nothing needs any more go after a deployment."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.shop.files import unfinished, written_to
from cva_sql.udfs.errors import ModelError, UsageError
from cva_sql.udfs.manifest import MANIFEST_FILE, MODEL_FILE, check_place, read_manifest
from cva_sql.udfs.model_files import check_inside
from cva_sql.udfs.sessions import VALUE

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop

KEPT = "cva_models_kept"


def models_kept(shop: ResolvedShop) -> int:
    """How many models of a kind are kept, 0 for all; raises UsageError for what is no number."""
    kept = shop.var(KEPT)
    if type(kept) is not int or kept < 0:
        raise UsageError(f"{KEPT} is {kept!r}; expected a whole number from 0 (all of them) on")
    return kept


def prune_models(shop: ResolvedShop, kind: str = VALUE) -> tuple[str, ...]:
    """Removes trained models of a kind beyond the newest `cva_models_kept`; the versions.

    Never what is deployed or was before that, what a published run that is kept was scored by, an
    added model, or a folder that has anything but a model of ours.
    """
    kept = models_kept(shop)
    if kept == 0:
        return ()
    root = shop.models_dir / kind
    ours = sorted(
        (as_of, folder)
        for folder in root.iterdir()
        if (as_of := _trained_as_of(folder)) is not None
    )
    needed = _needed(shop, kind)
    gone = [folder for _, folder in ours[:-kept] if folder.name not in needed]
    with written_to(root):
        for folder in gone:
            hidden = unfinished(root / "removed")  # what a kill leaves goes the next time
            folder.rename(hidden)
            shutil.rmtree(hidden)
    return tuple(folder.name for folder in gone)


def _trained_as_of(folder: Path) -> str | None:
    """The date of a model that was trained here and is whole; None for whatever else lies there."""
    try:
        check_inside(folder, (MODEL_FILE, MANIFEST_FILE))
        manifest = read_manifest(folder)
        check_place(folder, manifest)
        check_inside(folder, manifest.files)
    except ModelError:
        return None
    if manifest.training.get("added"):
        return None
    if {path.name for path in folder.iterdir()} != {*manifest.files}:
        return None  # a folder with anything else is not only ours
    return str(manifest.training.get("as_of") or "")


def _needed(shop: ResolvedShop, kind: str) -> set[str]:
    """The versions that score, did before, or scored what is published still."""
    from cva_sql.cli.shop.model_store import deployed_version, version_before

    needed = {str(deployed_version(shop.models_dir, kind))}
    with suppress(UsageError):  # nothing was
        needed.add(str(version_before(shop.models_dir, kind)))
    return needed | _published(shop)


def _published(shop: ResolvedShop) -> set[str]:
    """The models of the runs whose folders are still there, as table cva_runs has them.

    What `cva forget` published anew was scored by the model of the run before it.
    """
    from cva_sql.cli.run.publish import published_runs
    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.history import WHERE, run_id_of

    runs = published_runs(shop.published)
    con = connect(shop.db, read_only=True)
    try:
        rows = con.execute(
            "select started_at, last_value(model_version ignore nulls) over (order by started_at"
            f" rows unbounded preceding) from {WHERE} where command in ('run', 'forget')"
        ).fetchall()
    finally:
        con.close()
    return {version for started, version in rows if version and run_id_of(started) in runs}
