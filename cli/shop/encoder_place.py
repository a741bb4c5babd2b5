"""Where the encoder that reads lies, and what a kill left of another one being put there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cva_sql.cli.shop.files import written_to
from cva_sql.cli.shop.progress import say
from cva_sql.udfs.errors import ModelError

ENCODER = "encoder"
PACKAGED = "packaged"  # in place of a key: the encoder that cva comes with
PARKED = ".encoder.before"  # where the former one is for as long as it takes to rename a folder
WANTED = ".encoder.wanted"  # meanwhile: the key of the one that is to read
LONGEST = 80  # characters of a key that are said


def is_unfinished(models_dir: Path) -> bool:
    """Whether an encoder was being put in place when that was killed."""
    return any(os.path.lexists(models_dir / name) for name in (PARKED, WANTED))


def mend(models_dir: Path) -> None:
    """Ends what a kill left of an encoder being put in place, and says which one reads.

    The packaged one is in place as soon as the former is gone; the way to any other one leads back.
    """
    if not is_unfinished(models_dir):
        return
    parked, own, wanted = (models_dir / name for name in (PARKED, ENCODER, WANTED))
    key = _wanted(wanted)
    with written_to(models_dir):
        if parked.is_dir() and not parked.is_symlink():
            if os.path.lexists(own) or key == PACKAGED:
                shutil.rmtree(parked, ignore_errors=True)  # it is kept among the candidates
            else:
                parked.rename(own)
        if os.path.lexists(parked):
            return
        wanted.unlink(missing_ok=True)
    _say_which_reads(models_dir, key)


def _wanted(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip()[:LONGEST] or None
    except (OSError, UnicodeError):
        return None


def _say_which_reads(models_dir: Path, wanted: str | None) -> None:
    from cva_sql.udfs.encoder import packaged_manifest, read_encoder_manifest
    from cva_sql.udfs.encoder_tiers import encoder_folder

    try:
        key = read_encoder_manifest(encoder_folder(models_dir)).key
    except ModelError:
        return  # whoever reads by it says what is wrong
    name = PACKAGED if key == packaged_manifest().key else key
    said = f"another encoder was being put in place when that was killed; encoder {name} reads"
    if wanted not in (None, key, name):
        said += f", not {wanted}: for that one cva finetune --deploy {wanted}"
    say(said)
