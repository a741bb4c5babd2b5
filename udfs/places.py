"""What lies beside a shop's database: its trained models, and the files a run works with."""

from __future__ import annotations

from pathlib import Path

MODELS_FOLDER = "cva_models"
PUBLISHED = "published"
WORK_FOLDER = ".cva"


def models_beside(database: Path | None) -> Path:
    """Where a database's trained models are by default; in this folder for one in memory."""
    return (database.parent if database else Path()) / MODELS_FOLDER
