"""Table cva_model_audit: what became of each model of a shop, a row a change, none ever taken away.

The folder of models is the source, with its list of deployments: it also serves where there is no
database. A row is written for what differs from the rows so far, so that a change whose command
was killed is noted by the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import connect, find_relation, reason_of
from cva_sql.cli.shop.tables import make_table
from cva_sql.udfs.errors import CvaError, ModelError
from cva_sql.udfs.manifest import MANIFEST_FILE, read_manifest
from cva_sql.udfs.model_files import is_plain_name, read_file
from cva_sql.udfs.sessions import deployed_versions

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

TABLE = "cva_model_audit"
WHERE = f"main.{TABLE}"  # beside cva_runs
TRAINED, ADDED, REMOVED = "trained", "added", "removed"
REDACTED = "redacted"  # its manifest named customers, and does not any more
DEPLOYED, WITHDRAWN, ROLLED_BACK = "deployed", "withdrawn", "rolled back"
ROLLBACK = "models rollback"  # the command whose deployment is called rolled back
COLUMNS = {  # name -> (type, comment)
    "noted_at": ("timestamp", "when the change was noted, at the end of a command, UTC"),
    "what": ("varchar", "trained, added, deployed, rolled back, withdrawn, redacted or removed"),
    "kind": ("varchar", "kind of model: value, …"),
    "version": ("varchar", "the model; of withdrawn the one that scores no more"),
    "model_hash": ("varchar", "sha256 of its file; null where its manifest cannot be read"),
    "manifest_hash": ("varchar", "sha256 of its manifest, on which scores depend too"),
    "previous_version": ("varchar", "what was deployed before; null for a rule, and of other rows"),
    "strategy": ("varchar", "best_score or most_recent, where that chose; else null"),
    "command": ("varchar", "the command that noted it: train, models deploy, …"),
}
FOLDERS_OF_OTHERS = {"encoder", "encoder_candidates"}  # beside the kinds


@dataclass
class Known:
    """What the rows so far say: what is there and what is deployed."""

    deployed: dict[str, str] = field(default_factory=dict)
    hashes: dict[tuple[str, str], tuple[str | None, str | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A row to be: see COLUMNS."""

    what: str
    kind: str
    version: str
    hashes: tuple[str | None, str | None] = (None, None)
    previous: str | None = None


def note_changes(shop: ResolvedShop, command: str, strategy: str | None = None) -> None:
    """Adds a row for each model that came, went, or scores or no more, since the rows so far."""
    import duckdb

    con = connect(shop.db)
    try:
        if find_relation(con, "main", TABLE) is None:
            make_table(con, WHERE, COLUMNS)
        _add(con, list(_changes(shop.models_dir, _known(con), command)), command, strategy)
    except duckdb.Error as error:
        raise CvaError(f"{shop.db}: {WHERE} cannot be written: {reason_of(error)}") from None
    finally:
        con.close()


def note_redacted(con: DuckDBPyConnection, folder: Path, manifest: bytes, command: str) -> None:
    """Adds a row for a model that gets this manifest, without the customers that it named.

    None where its rows say so already, or have not come to it yet.
    """
    kind, version = folder.parts[-2:]
    if find_relation(con, "main", TABLE) is None:
        return
    model, before = _known(con).hashes.get((kind, version), (None, None))
    after = hashlib.sha256(manifest).hexdigest()
    if before not in (None, after):
        _add(con, [Change(REDACTED, kind, version, (model, after))], command)


def _add(
    con: DuckDBPyConnection, changes: list[Change], command: str, strategy: str | None = None
) -> None:
    if not changes:
        return
    now = datetime.now(UTC).replace(tzinfo=None)
    places = ", ".join("?" * len(COLUMNS))
    rows = [
        [now, c.what, c.kind, c.version, *c.hashes, c.previous, *_asked(c, strategy), command]
        for c in changes
    ]
    con.begin()
    con.executemany(f"insert into {WHERE} values ({places})", rows)
    con.commit()


def _asked(change: Change, strategy: str | None) -> list[str | None]:
    return [strategy if change.what == DEPLOYED else None]


def _known(con: DuckDBPyConnection) -> Known:
    known = Known()
    for what, kind, version, model, manifest in con.execute(
        f"select what, kind, version, model_hash, manifest_hash from {WHERE} order by rowid"
    ).fetchall():
        if what in (TRAINED, ADDED, REDACTED):
            known.hashes[kind, version] = (model, manifest)
        elif what == REMOVED:
            known.hashes.pop((kind, version), None)
        elif what == WITHDRAWN:
            known.deployed.pop(kind, None)
        else:
            known.deployed[kind] = version
    return known


def _changes(models_dir: Path, known: Known, command: str) -> Iterator[Change]:
    """What differs, first what came, then what scores, last what went."""
    there = dict(_stored(models_dir))
    hashes = dict(known.hashes)
    for (kind, version), folder in there.items():
        if (kind, version) not in hashes:
            what, hashes[kind, version] = _read(folder)
            yield Change(what, kind, version, hashes[kind, version])
    deployed: dict[str, str] = {}
    with suppress(ModelError):  # a broken file: what scores is not known
        deployed = deployed_versions(models_dir)
        for kind in sorted({*deployed, *known.deployed}):
            now, before = deployed.get(kind), known.deployed.get(kind)
            if now == before:
                continue
            of = hashes.get((kind, str(now or before)), (None, None))
            if now is None:
                yield Change(WITHDRAWN, kind, str(before), of, before)
            else:
                yield Change(
                    ROLLED_BACK if command == ROLLBACK else DEPLOYED, kind, now, of, before
                )
    for kind, version in sorted(known.hashes):
        if (kind, version) not in there:
            yield Change(REMOVED, kind, version, known.hashes[kind, version])


def _stored(models_dir: Path) -> Iterator[tuple[tuple[str, str], Path]]:
    """(kind, version) and folder of the models that are there; a folder without a manifest is none.

    The oldest file first, as they came.
    """
    found = []
    for file in models_dir.glob(f"*/*/{MANIFEST_FILE}"):
        kind, version = file.parts[-3:-1]
        if kind not in FOLDERS_OF_OTHERS and is_plain_name(kind) and is_plain_name(version):
            found.append((file.stat().st_mtime_ns, kind, version, file.parent))
    for _, kind, version, folder in sorted(found):
        yield (kind, version), folder


def _read(folder: Path) -> tuple[str, tuple[str | None, str | None]]:
    """Whether a model was trained here or added, and the hashes of its two files."""
    try:
        text = read_file(folder / MANIFEST_FILE, "")
        manifest = read_manifest(folder)
    except ModelError:
        return TRAINED, (None, None)
    what = ADDED if manifest.training.get("added") else TRAINED
    return what, (manifest.sha256, hashlib.sha256(text).hexdigest())
