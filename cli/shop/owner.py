"""Whose a folder is: one database owns what lies beside it, and another one is refused."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.shop.files import usable_folder, write_atomic, written_to
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop

MARKER = ".cva_database"  # in each folder: the database that owns it


class Owned(Enum):
    """The folders that one database owns, by the option that names another one."""

    PUBLISHED = "--published"
    WORK = "--work-dir"
    MODELS = "--models-dir"

    def folder(self, shop: ResolvedShop) -> Path:
        """Where it is."""
        places = {
            Owned.PUBLISHED: shop.published,
            Owned.WORK: shop.work_dir,
            Owned.MODELS: shop.models_dir,
        }
        return places[self]


def claim(shop: ResolvedShop, *which: Owned) -> None:
    """Makes the folders the database's own, those from before that nobody owned as well.

    Raises CvaError, before any of them is marked, where one cannot be used or is another's.
    """
    folders = [
        (usable_folder(one.folder(shop), f"give another: {one.value}"), one) for one in which
    ]
    for folder, one in folders:
        check_owner(shop, one)
        if one is Owned.WORK:
            refuse_links(folder)
    for folder, _ in folders:
        if owner_of(folder) is None:
            _mark(folder, shop)


def check_owner(shop: ResolvedShop, which: Owned) -> None:
    """Raises CvaError where the folder is another database's."""
    folder = which.folder(shop)
    owner = owner_of(folder)
    if owner is None or owner == _identity(shop.db, folder):
        return
    if _is_there(owner, folder, shop.db):
        options = ", ".join(one.value for one in Owned)
        raise CvaError(
            f"{folder} belongs to {owner}, not to {shop.db.name}; give {shop.db.name} folders of"
            f" its own by {options}, or move it into another folder"
        )
    raise CvaError(
        f"{folder} belongs to {owner}, not to {shop.db.name}; if it was renamed or moved, go on"
        f" with: {shop.command('run')} --adopt; else give others by --published, --models-dir,"
        " --work-dir"
    )


def is_owner(shop: ResolvedShop, which: Owned) -> bool:
    """Whether the folder is this database's, or nobody's."""
    folder = which.folder(shop)
    return owner_of(folder) in (None, _identity(shop.db, folder))


def adopt(shop: ResolvedShop) -> None:
    """Makes the folders of a database that was renamed or moved its own again.

    Raises UsageError where the one that owned them is still there.
    """
    folders = [folder for one in Owned if (folder := one.folder(shop)).is_dir()]
    for folder in folders:
        owner = owner_of(folder)
        mine = owner == _identity(shop.db, folder)
        if owner is not None and not mine and _is_there(owner, folder, shop.db):
            raise UsageError(
                f"--adopt: {folder} belongs to {owner}, which is still there; give"
                f" {shop.db.name} folders of its own by --published, --models-dir, --work-dir"
            )
    for folder in folders:
        _mark(folder, shop)


def owner_of(folder: Path) -> str | None:
    """The database that the marker names; None without one."""
    marker = folder / MARKER
    try:
        return marker.read_text(encoding="utf-8").strip()[:1000] or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeError):
        raise CvaError(f"{marker} cannot be read; expected the name of a database") from None


def other_database(models_dir: Path, db: Path, trained_on: str | None) -> str | None:
    """The name of the other database whose models the folder has; None where they are this one's.

    A database that was renamed and has adopted the folder goes on with what was `trained_on` it.
    """
    if trained_on is None:
        return None
    owner = owner_of(models_dir)
    name = Path(owner).name if owner else trained_on
    return None if name == db.name else name


def refuse_links(work: Path) -> None:
    """Raises CvaError for a link in the folder, which cva and dbt would write through."""
    for folder, folders, files in os.walk(work):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                raise CvaError(f"{path} is a link, which cva does not write through; remove it")


def _mark(folder: Path, shop: ResolvedShop) -> None:
    with written_to(folder):
        write_atomic(folder / MARKER, f"{_identity(shop.db, folder)}\n".encode())


def _identity(db: Path, folder: Path) -> str:
    """The database's name beside it, where both may move together, and elsewhere its path."""
    full = db.resolve()
    return full.name if folder.resolve().parent == full.parent else str(full)


def _is_there(owner: str, folder: Path, db: Path) -> bool:
    """Whether the owner is another file than the database, and is still there."""
    path = folder.resolve().parent / owner
    return path.is_file() and not (db.exists() and path.samefile(db))
