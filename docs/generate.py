"""Writes what the registries say into the pages and yml that repeat it: `make generate`.

With --check it writes nothing, and fails with the names of the files that are stale. It needs
neither dbt nor a database. What is written by hand stays: in a yml the columns above MARK, in
README.md what is outside the two comments.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

import pages
import yaml  # type: ignore[import-untyped]
from pages import MODELS, ROOT, catalogue, described_models, table

from cva_sql.cli.presets.preset import presets
from cva_sql.cli.run.list_tables import QUESTIONS

MARK = "      # The catalogue's, by `make generate`:\n"
FEATURE_TABLES = ("features/customer_features.yml", "training/cva_training_examples.yml")
WIDTH = 100  # of a line of yml

# yml: the columns of features below MARK


def column_yaml(name: str, text: str) -> str:
    """A column of a model's yml; the text in one line where it fits and YAML takes it as it is."""
    line = f"        description: {text}\n"
    if len(line) <= WIDTH and not re.search(r": | #|^[^A-Za-z0-9]", text):
        return f"      - name: {name}\n{line}"
    lines = "".join(f"          {part}\n" for part in wrap(text, WIDTH - 22))
    return f"      - name: {name}\n        description: >-\n{lines}"


def with_columns(text: str, features: Iterable[Mapping[str, Any]]) -> str:
    """The yml with the columns below MARK written anew."""
    before, _, after = text.partition(MARK)
    rest = re.sub(r"\A(?: {6}.*\n)*", "", after)
    columns = "".join(column_yaml(f["name"], f["description"]) for f in features)
    return before + MARK + columns + rest


def feature_ymls() -> Iterator[tuple[Path, str]]:
    """Each yml that describes features, and what should be in it."""
    features = catalogue()
    families = {feature["family"] for feature in features}
    for name in FEATURE_TABLES:
        yield MODELS / name, with_columns((MODELS / name).read_text(encoding="utf-8"), features)
    for family in sorted(families):
        path = MODELS / "features" / f"feat_cva__{family}.yml"
        text = path.read_text(encoding="utf-8")
        if MARK in text:
            yield path, with_columns(text, [f for f in features if f["family"] == family])


def exposures(text: str) -> str:
    """The yml of what `cva run` publishes with its list of tables written anew."""
    names = [model["name"] for model in described_models() if model["is_published"]]
    refs = "".join(f"      - ref('cva', '{name}')\n" for name in names)
    return re.sub(r"(    depends_on:.*\n)(?:      - .*\n)*", rf"\1{refs}", text)


# Markdown


def readme(text: str) -> str:
    """README.md with its table of marts written anew."""
    published = [m for m in described_models() if m["is_published"]]
    rows = [(f"`{m['name']}`", m["question"]) for m in published]
    made = [(f"`{name}`", question) for name, question in QUESTIONS.items()]
    return between(text, "marts", table(("table", "question"), rows + made))


def presets_page(text: str) -> str:
    """docs/presets.md with its table of presets written anew."""
    head = ("name", "export", "fills", "amount", "cancelled", "trials", "times")
    rows = (
        (
            f"`{preset.name}`",
            f"{preset.title}: {preset.export}",
            ", ".join(dict.fromkeys(part.table for part in preset.parts)),
            preset.amount,
            conditions(part.cancelled for part in preset.parts),
            conditions(part.test for part in preset.parts if part.table == "orders"),
            preset.times,
        )
        for preset in presets().values()
    )
    return between(text, "presets", table(head, rows))


def metrics_page(text: str) -> str:
    """docs/metrics.md with its table of metrics written anew."""
    file = MODELS / "semantic" / "cva_metrics.yml"
    metrics = yaml.safe_load(file.read_text(encoding="utf-8"))["metrics"]
    rows = ((f"`{metric['name']}`", metric["description"]) for metric in metrics)
    return between(text, "metrics", table(("metric", "what it says"), rows))


def between(text: str, name: str, made: str) -> str:
    """A page with what stands between its two comments of that name replaced."""
    before, mark, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not (mark and end):
        raise SystemExit(f"a page has lost its comments <!-- {name} --> and <!-- /{name} -->")
    return before + mark + made + end + after


def conditions(texts: Iterable[str | None]) -> str:
    """SQL conditions of a preset, each once."""
    return ", ".join(f"`{' '.join(text.split())}`" for text in dict.fromkeys(texts) if text)


def generated() -> Iterator[tuple[Path, str]]:
    """Each file and what should be in it."""
    yield from feature_ymls()
    for path, made in (
        (MODELS / "marts" / "exposures.yml", exposures),
        (ROOT / "README.md", readme),
        (ROOT / "docs" / "presets.md", presets_page),
        (ROOT / "docs" / "metrics.md", metrics_page),
    ):
        yield path, made(path.read_text(encoding="utf-8"))
    by_name = {
        "tables": pages.tables_page,
        "features": pages.features_page,
        "marts": pages.marts_page,
        "inputs": pages.inputs_page,
        "vars": pages.vars_page,
        "commands": pages.commands_page,
    }
    for name, write in by_name.items():
        yield ROOT / "docs" / "reference" / f"{name}.md", write()


def main(arguments: list[str]) -> int:
    """Writes what is stale, or with --check says it; the exit code."""
    is_check = arguments == ["--check"]
    if arguments and not is_check:
        print("usage: python docs/generate.py [--check]", file=sys.stderr)
        return 2
    stale = 0
    for path, text in generated():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        name = path.relative_to(ROOT)
        if is_check:
            print(f"{name} is stale; write it anew with: make generate", file=sys.stderr)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"written: {name}")
    return int(is_check and stale > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
