"""What the catalogue says of features: their words, units and kinds."""

from __future__ import annotations

from dataclasses import dataclass

from cva_sql.cli.report.source import Source

COLUMNS = ("feature", "kind", "unit", "label")


@dataclass(frozen=True)
class Feature:
    """A feature in words; `unit` is '' where unknown, `is_number` false for a category."""

    label: str
    unit: str = ""
    is_number: bool = True


@dataclass(frozen=True)
class Catalog:
    """The shop's features by name; one that it does not have goes by its own name."""

    features: dict[str, Feature]

    def find(self, name: str) -> Feature:
        """The feature of this name."""
        return self.features.get(name) or Feature(name.replace("_", " "))


def read_catalog(source: Source) -> Catalog:
    """The catalogue; without any feature where its table is missing."""
    table = source.table("cva_feature_catalog", COLUMNS, is_internal=True)
    rows = source.rows(f"select feature, label, unit, kind from {table}") if table else []
    return Catalog(
        {
            name: Feature(label or name, unit or "", kind != "category")
            for name, label, unit, kind in rows
        }
    )
