"""Writes what is kept of a person into files that only their owner may read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.audience.writing import refuse_place
from cva_sql.cli.person.report import as_json, as_text
from cva_sql.cli.shop.files import unfinished, written_to
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.cli.person.reading import Person
    from cva_sql.cli.shop.shop import ResolvedShop

TEXT, JSON = "person.txt", "person.json"  # no id in the name: it shows in listings and backups


def write_person(
    shop: ResolvedShop, person: Person, to: Path, *, is_json: bool = False
) -> list[Path]:
    """The files that were written: `to`, or in a folder one as text and one as JSON.

    Raises UsageError, with nothing written, where one is there already.
    """
    if to.is_dir():
        files = {to / TEXT: as_text(person), to / JSON: as_json(person)}
    else:
        is_json = is_json or to.suffix.lower() == ".json"
        files = {to: as_json(person) if is_json else as_text(person)}
    for file in files:
        refuse_place(file, shop, "--to", TEXT)
        if file.exists() or file.is_symlink():
            raise UsageError(f"--to {file} exists; name another file")
    for file, text in files.items():
        with written_to(file.parent):
            temporary = unfinished(file)
            temporary.touch(mode=0o600, exist_ok=False)
            try:
                temporary.write_text(f"{text}\n", encoding="utf-8")
                temporary.replace(file)
            finally:
                temporary.unlink(missing_ok=True)
    return list(files)
