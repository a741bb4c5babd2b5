"""Says a feature's value in the words that the reasons in customer_value use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.package import macro_value

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

MACROS = "reasons.sql"


@dataclass(frozen=True)
class Line:
    """What the catalogue says of a feature: `templates` by form, see `reason_cases`."""

    label: str
    kind: str
    unit: str
    templates: Mapping[str, str]


@dataclass(frozen=True)
class Sentences:
    """The catalogue's sentences in one language; `is_baseline` where the packaged rule is told."""

    lines: Mapping[str, Line]
    words: Mapping[str, str]
    formats: Mapping[str, Mapping[str, Any]]
    is_baseline: bool

    def label(self, feature: str) -> str:
        """What people call the feature; its own name where the catalogue does not have it."""
        return self.lines[feature].label if feature in self.lines else feature

    def say(self, feature: str, value: str | None, typical: str | None) -> str:
        """The sentence of a value, as the model int_cva__customer_reasons writes it."""
        line = self.lines.get(feature)
        if line is None:
            return f"{feature} {value} (typical {typical})"
        text = self.text(value, line)
        template = line.templates[_form(value, text)]
        if self.is_baseline:
            template = template.replace(self.words["typical"], self.words["rule"])
        return template.replace("{value}", text).replace("{typical}", self.text(typical, line))

    def text(self, value: str | None, line: Line) -> str:
        """A value as people write it, by the feature's unit."""
        if value is None:
            return self.words["none"]
        if line.kind == "category":
            return value.replace("{", "(").replace("}", ")")
        if line.unit == "flag":
            return self.words["no" if value == "0" else "yes"]
        style = self.formats.get(line.unit)
        if style is None:
            return value
        number = f"{style.get('times', 1) * float(value):,.{style['places']}f}"
        if style.get("is_short"):
            number = number.removesuffix(".0")
        return number + str(style.get("behind", ""))


def _form(value: str | None, text: str) -> str:
    if value is None:
        return "none"
    if value == "0":
        return "zero"
    return "one" if value == "1" or text == "1" else "sentence"


def read_sentences(con: DuckDBPyConnection, shop: ResolvedShop, *, is_baseline: bool) -> Sentences:
    """The catalogue's sentences in the shop's language; empty where it has not been built."""
    import duckdb

    language = str(shop.var("cva_language"))
    words = macro_value(MACROS, "default__reason_words")
    cases = macro_value(MACROS, "reason_cases")
    label = macro_value(MACROS, "label_column", language)
    columns = [macro_value(MACROS, "template_column", language, case) for case in cases]
    lines: dict[str, Line] = {}
    # A published database has the catalogue beside the marts.
    for schema in (f"{shop.schema}_cva", shop.schema):
        try:
            rows = con.execute(
                f"select feature, {label}, kind, unit, {', '.join(columns)} "
                f"from {schema}.cva_feature_catalog"
            ).fetchall()
        except (duckdb.CatalogException, duckdb.BinderException):  # none, or an older one
            continue
        lines = {
            name: Line(label, kind, unit, dict(zip(cases, templates, strict=True)))
            for name, label, kind, unit, *templates in rows
        }
        break
    formats = macro_value(MACROS, "unit_formats")
    return Sentences(lines, words.get(language, words["en"]), formats, is_baseline)
