"""Every model is described beside its SQL, and what is described twice is described alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from cva_sql.cli.shop.package import project_dir

MODELS = sorted((project_dir() / "models").rglob("*.sql"))
FEATURE_TABLES = ("customer_features", "cva_training_examples")


def described(path: Path) -> dict[str, Any]:
    """The one model of the yml beside `path`."""
    (model,) = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))["models"]
    assert isinstance(model, dict)
    return model


def columns(path: Path) -> dict[str, str]:
    return {column["name"]: column["description"] for column in described(path)["columns"]}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_model_and_column_is_described(path: Path) -> None:
    model = described(path)
    assert model["name"] == path.stem
    assert model["description"].strip()
    assert all(text.strip() for text in columns(path).values())


@pytest.mark.parametrize("table", FEATURE_TABLES)
def test_a_feature_is_described_as_in_its_family(table: str) -> None:
    (path,) = (path for path in MODELS if path.stem == table)
    families = [columns(path) for path in MODELS if path.stem.startswith("feat_cva__")]
    features = {name: text for family in families for name, text in family.items()}
    differing = {name for name, text in columns(path).items() if features.get(name, text) != text}
    assert differing == set()
