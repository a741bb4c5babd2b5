"""Every model is described beside its SQL, and what is described twice is described alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from cva_sql.cli.shop.package import macro_value, project_dir

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


def test_a_line_of_the_catalogue_has_all_that_people_read() -> None:
    for line in macro_value("feature_catalog.sql", "feature_catalog"):
        for key in ("label", "label_zh", "description"):
            assert line[key].strip(), line["name"]
        for key in [name for name in line if f"{name}_zh" in line or name.endswith("_zh")]:
            # What is said in one language is said in the other.
            assert line[key.removesuffix("_zh")]
            assert line[f"{key.removesuffix('_zh')}_zh"]
        is_said = not line["is_reason"] or line["kind"] == "category" or line["family"] == "shop"
        assert is_said or {"sentence", "sentence_zh"} <= line.keys(), line["name"]


def test_a_published_model_says_which_question_it_answers() -> None:
    published = []
    for path in MODELS:
        meta = described(path).get("config", {}).get("meta", {}).get("cva", {})
        assert meta.get("published") in (None, True), path.stem
        if meta.get("published"):
            assert meta["question"].strip(), path.stem
            published.append(path.stem)
    marts = {path.stem for path in MODELS if path.parent.name == "marts"}
    marts -= {"cva_marts"}  # which says so of the others
    assert marts | {"customer_features", "cva_rejects", "cva_text_statuses"} == set(published)
