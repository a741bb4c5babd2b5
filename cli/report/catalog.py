"""What the catalogue says of features: their words, units, kinds and reason sentences."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from cva_sql.cli.report.source import Source
from cva_sql.cli.report.wording import amount, money, percent, plain
from cva_sql.cli.shop.package import macro_value

MACROS = "reasons.sql"
COLUMNS = ("feature", "kind", "unit")
VALUE, TYPICAL = "{value}", "{typical}"  # what a reason template leaves open
COMPARED = re.compile(
    r"(, | \(|\uff0c|\uff08)[^,(\uff0c\uff08]*\{typical\}[)\uff09]?$"
)  # of the typical customer


@dataclass(frozen=True)
class Feature:
    """A feature in words fit for the page; `unit` and `template` are '' where unknown."""

    label: str
    unit: str = ""
    is_number: bool = True
    template: str = ""

    def phrase(self, value: float, more: str = "", typical: float | None = None) -> str:
        """The value in the words that reasons have, such as: 12 or more orders, shop median 3.

        `more` follows the value; without `typical` nothing is compared.
        """
        text, words = self._text(value) + more, self.template
        if typical is None or not math.isfinite(typical):
            words = COMPARED.sub("", words)
        else:
            words = words.replace(TYPICAL, self._text(typical))
        is_whole = VALUE in words and TYPICAL not in words
        return words.replace(VALUE, text) if is_whole else f"{self.label} {text}"

    def _text(self, value: float) -> str:
        if self.unit == "flag":
            return "yes" if value else "no"
        if self.unit in ("days", "years"):
            return f"{value:,.0f}"
        return {"rate": percent, "money": money}.get(self.unit, amount)(value)


@dataclass(frozen=True)
class Catalog:
    """The shop's features by name; one that it does not have goes by its own name."""

    features: dict[str, Feature]

    def find(self, name: str) -> Feature:
        """The feature of this name."""
        return self.features.get(name) or Feature(plain(name).replace("_", " "))


def read_catalog(source: Source) -> Catalog:
    """The catalogue in the shop's language; without any feature where its table is missing."""
    name, language = "cva_feature_catalog", str(source.shop.var("cva_language"))
    label = macro_value(MACROS, "label_column", language)
    table = source.table(name, (*COLUMNS, label), is_internal=True)
    template = macro_value(MACROS, "template_column", language)
    if not source.table(name, (template,), is_internal=True):
        template = "null"
    query = f"select feature, {label}, unit, kind, {template} from {table}"
    return Catalog(
        {
            feature: Feature(
                plain(label or feature), unit or "", kind != "category", plain(template or "", 160)
            )
            for feature, label, unit, kind, template in (source.rows(query) if table else [])
        }
    )
