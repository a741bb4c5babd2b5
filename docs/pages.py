"""The pages of docs/reference, as the registries say them; docs/generate.py writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main
import yaml

from cva_sql.cli.app import GROUPS, app
from cva_sql.cli.evaluate.evaluation import DECILE_COLUMNS, METRIC_COLUMNS
from cva_sql.cli.evaluate.groups import GROUP_COLUMNS
from cva_sql.cli.run import list_tables
from cva_sql.cli.shop import audit, history, package
from cva_sql.cli.shop.defaults import internal_vars
from cva_sql.cli.watch import arriving
from cva_sql.models_onnx.value.training import runs as training_runs

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "dbt_project"
MODELS = PROJECT / "models"
WRITTEN = "<!-- Written by `make generate`. -->\n"
SCHEMAS = {"staging": "main_cva.", "intermediate": "main_cva.", "training": "cva_train."}
# Tables that commands write, without a model: name, question, columns.
WRITTEN_BY_COMMANDS = (
    (
        "cva_model_metrics",
        "how good the model would have been on past dates, beside members, benchmarks and rules",
        METRIC_COLUMNS,
    ),
    ("cva_model_deciles", "its lift and calibration by decile", DECILE_COLUMNS),
    ("cva_model_groups", "its error and bias by group of customers", GROUP_COLUMNS),
    (
        training_runs.TABLE,
        "what each training fitted: scores, learning curves, settings, why it was deployed or not",
        training_runs.COLUMNS,
    ),
    (
        history.TABLE,
        "what each command did, when, how long it took, and why it failed",
        history.COLUMNS,
    ),
    (
        audit.TABLE,
        "what became of each model: trained, added, deployed, rolled back, withdrawn, redacted,"
        " removed",
        audit.COLUMNS,
    ),
    (
        arriving.TABLE,
        "which files `cva watch` loaded, and when",
        arriving.COLUMNS,
    ),
)

MADE_BY_RECOMMEND = (
    "Made by [`cva recommend`](../recommendations.md) and each `cva run` after it, which publishes"
    " it; `dbt run` alone leaves it as it is."
)


def catalogue() -> list[dict[str, Any]]:
    """The features as macros/feature_catalog.sql lists them."""
    features: list[dict[str, Any]] = package.macro_value("feature_catalog.sql", "feature_catalog")
    return features


def described_models() -> list[dict[str, Any]]:
    """The models whose meta has a question, customer_value first, then the other marts by name.

    Each as its yml has it, with `folder`, `question` and `is_published` beside.
    """
    found = []
    for path in sorted(MODELS.rglob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            meta = ((model.get("config") or {}).get("meta") or {}).get("cva") or {}
            if "question" in meta:
                found.append(
                    {
                        **model,
                        "folder": path.parent.name,
                        "question": meta["question"],
                        "is_published": meta.get("published") is True,
                    }
                )
    return sorted(found, key=lambda m: (not m["is_published"], rank(m["name"]), m["name"]))


def rank(name: str) -> int:
    """A place before the alphabet: what is about customers comes before what is about cva."""
    return 0 if name == "customer_value" else 2 if name.startswith("cva_") else 1


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table; bars in a cell are escaped, line breaks become blanks."""
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    cells = [[" ".join(str(cell).split()).replace("|", "\\|") for cell in line] for line in lines]
    return (
        "".join(f"| {' | '.join(line)} |\n" for line in cells)
        .replace("--- |", "---|")
        .replace("| ---", "|---")
    )


def page(title: str, *parts: str) -> str:
    """A page of docs/reference."""
    return "\n".join([f"# {title}\n", WRITTEN, *parts]).rstrip("\n") + "\n"


def tables_page() -> str:
    """The raw tables and their columns."""
    parts = [
        "Only `orders` is needed. A column that is not required may be missing; so may a table.\n"
        "Yours are named by [vars](vars.md).\n"
    ]
    for name, line in package.raw_tables().items():
        rows = (
            (f"`{c}`", kind, "yes" if needed else "") for c, (kind, needed) in line.columns.items()
        )
        parts += [f"## {name}\n", table(("column", "kind", "required"), rows)]
    return page("Raw tables", *parts)


def features_page() -> str:
    """The catalogue."""
    parts = [
        "Each is a column of `customer_features`. `+` and `−`: more is worth more, or less;\n"
        "reasons never say the opposite. `{value}` is the value, `{horizon_2}` two horizons in\n"
        "days.\n"
    ]
    features = catalogue()
    for family in dict.fromkeys(feature["family"] for feature in features):
        rows = (
            (
                f"`{f['name']}`",
                f["description"],
                f["unit"],
                {1: "+", -1: "−", 0: ""}[f["direction"]],
                f["reason_family"],
                said(f) if f["is_reason"] else "",
            )
            for f in features
            if f["family"] == family
        )
        head = ("feature", "what it is", "unit", "sign", "counts as", "a reason says")
        parts += [f"## {family}\n", table(head, rows)]
    return page("Features", *parts)


def said(feature: Mapping[str, Any]) -> str:
    """The sentence of a reason, for many of what it counts."""
    sentence = feature.get("sentence", f"{feature['label']}: {{value}}")
    return re.sub(r"\[(?:[^|\]]*\|)?([^\]]*)\]", r"\1", sentence)


def marts_page() -> str:
    """The tables that people read, with their columns."""
    models, features = described_models(), {feature["name"] for feature in catalogue()}
    published = sum(model["is_published"] for model in models)
    *made, last = (f"`{name}`" for name in list_tables.TABLES)
    parts = [
        f"`cva run` publishes the first {published}, and {', '.join(made)} and {last}; the others"
        " stay in the database.\n"
    ]
    for model in models:
        schema = "" if model["is_published"] else SCHEMAS.get(model["folder"], "")
        parts += [f"## {schema}{model['name']}\n", f"*{model['question']}*\n"]
        parts.append(" ".join(model["description"].split()) + "\n")
        own = {c["name"]: c["description"] for c in model["columns"] if c["name"] not in features}
        columns = [(f"`{name}`", text) for name, text in own.items()]
        if len(own) < len(model["columns"]):
            columns.append(("…", "every [feature](features.md)"))
        parts.append(table(("column", "what it is"), columns))
    for name, (said, made) in list_tables.TABLES.items():
        columns = [(f"`{column}`", text) for column, (_, text) in made.items()]
        grain = f"{said[0].upper()}{said[1:]} {MADE_BY_RECOMMEND}\n"
        parts += [f"## {name}\n", f"*{list_tables.QUESTIONS[name]}*\n", grain]
        parts.append(table(("column", "what it is"), columns))
    for name, question, written in WRITTEN_BY_COMMANDS:
        columns = [(f"`{column}`", text) for column, (_, text) in written.items()]
        parts += [f"## {name}\n", f"*{question}*\n", table(("column", "what it is"), columns)]
    return page("Marts", *parts)


def inputs_page() -> str:
    """The files that the tests load, and what comes of each."""
    cases = yaml.safe_load((ROOT / "tests" / "inputs" / "orders.yml").read_text(encoding="utf-8"))
    rows = [
        (
            f"[{case['name']}]({case['met']})" if "met" in case else case["name"],
            f"`{' '.join(case['options'])}`" if "options" in case else "",
            what_comes(case),
        )
        for case in cases
    ]
    intro = (
        "Either the right number, or one line that asks. `make test` loads each of these as\n"
        "`cva load orders` does; the files are in `tests/inputs/`. A link is where one was met.\n"
    )
    return page("Files as shops have them", intro, table(("file", "options", "what comes"), rows))


def what_comes(case: Mapping[str, Any]) -> str:
    """What a file of tests/inputs gives or asks."""
    if "asks" in case:
        return f"asks: {case['asks']}"
    gives = case["gives"]
    said = f', says "{gives["says"]}"' if "says" in gives else ""
    return (
        f"orders {gives['orders']}, customers {gives['customers']}, amount {gives['amount']}{said}"
    )


def vars_page() -> str:
    """The dbt vars, from the lines of dbt_project.yml."""
    source = (PROJECT / "dbt_project.yml").read_text(encoding="utf-8").split("\nvars:\n")[1]
    lines = re.findall(r"^  (\w+): (.*?)  # (.*)$", source, re.MULTILINE)
    rows = [
        ("`cva_<table>_identifier`", "the table's name", "what your table is called"),
        ("`cva_<table>_columns`", "`{}`", "column of a [raw table](tables.md): SQL over yours"),
    ]
    rows += [(f"`{n}`", f"`{value}`", what) for n, value, what in lines if n not in internal_vars()]
    intro = "Under `vars: {cva: {…}}` in your dbt_project.yml, or `--vars` of a command.\n"
    return page("Vars", intro, table(("var", "default", "what it is"), rows))


def commands_page() -> str:
    """Every command with its arguments and options, as `--help` says them."""
    root: Any = typer.main.get_command(app)
    parts = ["What each is for, in words: [commands](../commands.md).\n"]
    for group in GROUPS.values():
        for name in group:
            parts += command_parts(f"cva {name}", root.commands[name])
    return page("Commands", *parts)


def command_parts(name: str, command: Any) -> Iterator[str]:
    """A command's help and options; for a group those of each of its commands."""
    yield f"## {name}\n"
    yield "\n\n".join(" ".join(part.split()) for part in command.help.split("\n\n")) + "\n"
    for below, found in getattr(command, "commands", {}).items():
        yield from command_parts(f"{name} {below}", found)
    rows = [option_row(p) for p in command.params if getattr(p, "help", None)]
    if rows:
        yield table(("option", "what it does"), rows)


def option_row(option: Any) -> tuple[str, str]:
    """How an argument or option is written, and its help with the default."""
    names = ", ".join(f"`{text}`" for text in [*option.opts, *option.secondary_opts])
    if option.param_type_name == "argument":
        names = f"`{option.name.upper()}`"
    default = option.default
    is_plain = isinstance(default, str | int | Path) and not isinstance(default, bool)
    is_said = not is_plain or "Default" in option.help
    return names, option.help if is_said else f"{option.help} Default: `{default}`."
