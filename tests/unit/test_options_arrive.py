"""Every option of every command arrives where it is obeyed, under its own name."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from typer.main import get_command

from cva_sql.cli.app import app
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.watch.watching import Watched


@dataclass(frozen=True)
class Call:
    """How a command is called, and the functions in its modules that obey it; they do nothing."""

    line: str
    obeyed_by: tuple[str, ...]
    answers: Mapping[str, Any] = field(default_factory=dict)


CALLS = {
    "demo": Call("demo", ("demo.ownership.write_files",)),
    "start": Call(
        "start f.csv",
        (
            "start.loading.load_start",
            "shop.resolver.open_shop",
            "train.training.train_shop",
            "run.build.run_shop",
            "run.command.describe",
            "report.writing.write_report",
            "start.loading.open_page",
        ),
        {"load_start": lambda *given: given[-1](MagicMock())},
    ),
    "load": Call("load orders f.csv", ("load.command.load_any",)),
    "init": Call("init d", ("init.command.init_project", "init.scan.proposal.scan_database")),
    "doctor": Call("doctor", ("doctor.command.open_shop", "doctor.command.examine")),
    "train": Call(
        "train",
        (
            "train.command.open_shop",
            "train.settings.read_params",
            "train.command.train_shop",
            "train.command.train_table",
            "train.needed.needs_training",
        ),
        {"read_params": lambda _: {}},
    ),
    "run": Call("run", ("run.command.open_shop", "run.command.run_shop", "shop.owner.adopt")),
    "watch": Call(
        "watch --raw raw.orders",
        (
            "shop.resolver.open_shop",
            "report.writing.refuse_page",
            "watch.command._source",
            "watch.watching.watch_shop",
            "watch.command._print",
        ),
        {"watch_shop": lambda *_: Watched()},
    ),
    "drift": Call("drift", ("drift.command.open_shop", "drift.command.read_drift")),
    "report": Call("report", ("report.command.open_shop", "report.command.write_report")),
    "explain": Call("explain c", ("explain.command.open_shop", "explain.command.explain_customer")),
    "sql": Call(
        "sql 'create table t as select 1'",
        ("sql.command.open_shop", "sql.command.opened", "sql.command._run"),
    ),
    "evaluate": Call(
        "evaluate",
        (
            "evaluate.command.open_shop",
            "evaluate.command.evaluate_shop",
            "evaluate.command.write_evaluation",
            "evaluate.report.describe",
            "evaluate.command._evaluate_table",
            "train.settings.read_params",
        ),
        {"read_params": lambda _: {}},
    ),
    "check-features": Call(
        "check-features", ("check_features.command.open_shop", "check_features.command.check_shop")
    ),
    "backfill": Call(
        "backfill --from 2024-01-01",
        ("backfill.command.open_shop", "backfill.command.backfill_shop"),
    ),
    "recommend": Call(
        "recommend",
        (
            "recommend.command.open_shop",
            "recommend.command.recommend_shop",
            "recommend.command.withdraw_shop",
        ),
    ),
    "audience": Call(
        "audience true --out o",
        (
            "audience.command.open_shop",
            "audience.selection.make_audience",
            "audience.writing.refuse_existing",
            "audience.writing.write_sheet",
        ),
    ),
    "publish": Call(
        "publish --to u",
        (
            "publish.command.open_shop",
            "publish.target.parse_target",
            "publish.tables.opened",
            "publish.postgresql.copy_to_postgresql",
        ),
    ),
    "models list": Call("models list", ("models.command.open_shop",)),
    "models info": Call("models info", ("models.command.open_shop",)),
    "models add": Call(
        "models add f.onnx --name n --trained-until 2024-01-01",
        ("models.command.open_shop", "train.adding.add_model"),
    ),
    "models compare": Call(
        "models compare v w", ("models.command.open_shop", "models.comparison.compare_models")
    ),
    "models deploy": Call(
        "models deploy --strategy=most_recent",
        (
            "models.command.open_shop",
            "models.command.deploy_version",
            "models.command.choose_version",
            "models.command.sound_model",
            "models.comparison.compare_models",
        ),
        {"choose_version": lambda *_: ("v", "why")},
    ),
    "models rollback": Call(
        "models rollback",
        (
            "models.command.open_shop",
            "models.command.deploy_version",
            "shop.model_store.version_before",
        ),
    ),
    "alerts list": Call("alerts list", ("alerts.command.open_shop", "alerts.api.list_alerts")),
    "alerts ack": Call("alerts ack a", ("alerts.command.open_shop", "alerts.api.ack_alerts")),
    "alerts resolve": Call(
        "alerts resolve a", ("alerts.command.open_shop", "alerts.api.resolve_alerts")
    ),
    "alerts send": Call(
        "alerts send --to stdout",
        (
            "alerts.command.open_shop",
            "alerts.destinations.parse_destination",
            "alerts.sending.send_alerts",
        ),
    ),
    "person": Call(
        "person a --to t",
        (
            "person.command.open_shop",
            "person.reading.read_person",
            "person.writing.write_person",
        ),
        {"write_person": lambda *_, **__: [Path("t")]},
    ),
    "forget": Call("forget a", ("forget.command.open_shop", "forget.erasing.forget_people")),
    "export-model": Call(
        "export-model rule --out o",
        ("export_model.command.open_shop", "export_model.writing.write_export"),
    ),
    "embed": Call(
        "embed",
        (
            "embed.command.open_shop",
            "embed.command.embed_shop",
            "embed.command.embed_images",
            "embed.command.describe",
        ),
    ),
    "finetune": Call(
        "finetune",
        (
            "finetune.command.open_shop",
            "finetune.command.finetune_shop",
            "finetune.command.deploy_encoder",
            "finetune.command.describe",
            "finetune.command.describe_deployed",
        ),
    ),
    "score": Call(
        "score",
        (
            "score.command.open_shop",
            "score.command.fill_table",
            "shop.model_store.note_deployed",
            "score.own_table.print_scores",
        ),
        {"fill_table": lambda *_: ("t", 1)},
    ),
}
# Other ways to call a command, which do another thing, and the options that count for it.
OTHERWISE = [
    (
        "evaluate",
        Call("evaluate --table=t --predicted=p --actual=y", CALLS["evaluate"].obeyed_by),
        {"db", "project", "replicates", "as_json"},
    ),
    (
        "train",
        Call("train --table=t --key=k --target=y", CALLS["train"].obeyed_by),
        {"db", "project", "models_dir", "work_dir", "time", "name", "as_json"},
    ),
    (
        "score",
        Call("score --table=t", CALLS["score"].obeyed_by),
        {"db", "project", "models_dir", "work_dir", "name", "as_json"},
    ),
    (
        "explain",
        Call("explain", ("explain.command.open_shop", "explain.command.fill_explanations")),
        {"db", "project", "variables", "models_dir", "work_dir", "as_json"},
    ),
    (
        "embed",
        Call("embed images p --encoder=e", CALLS["embed"].obeyed_by),
        {"db", "project", "variables", "models_dir", "work_dir", "as_json"},
    ),
    (
        "export-model",
        Call("export-model encoder --out o", ("export_model.command.export_encoder",)),
        {"out", "tier", "long_texts", "texts", "source", "as_json"},
    ),
    (
        "publish",
        Call(
            "publish --to f.xlsx",
            ("publish.command.open_shop", "publish.tables.opened", "publish.book.write_book"),
        ),
        {"is_to_adopt", "db", "project", "published", "as_json"},
    ),
]
# What an option is given, where not any text will do; by the name it has in Python.
VALUES = {
    "tune": "1.5",
    "tier": "multilingual",
    "long_texts": "windows",
    "steps": "7",
    "minutes": "2.5",
    "as_of": "2024-05-06",
    "first": "2024-05-06",
    "step": "quarter",
    "strategy": "best_score",
    "to": "klaviyo",
    "trained_until": "2024-05-06",
    "horizon_days": "77",
    "replicates": "7",
    "customers": "333",
    "seed": "9",
    "decimal": "comma",
    "dates": "dmy",
    "amount_per": "line",
    "column": "amount=b",
    "changes": "a=3",
    "delimiter": ";",
    "states": "expired",
    "every": "7.5",
    "settle": "2.5",
}
TABLE = ("--table=t", "--predicted=p", "--actual=y")
BESIDE = {("evaluate", name): TABLE for name in ("table", "predicted", "actual")}
LEARNED = ("--table=t", "--key=k", "--target=y")
BESIDE |= {("train", name): LEARNED for name in ("table", "key", "target", "time", "name")}
BESIDE |= {("embed", "encoder"): ("images", "p")}
BESIDE |= {("score", "name"): ("--table=t",), ("watch", "as_json"): ("--once",)}
# Under which name an option arrives, where it is not its own.
ARRIVES = {
    "is_to_keep": "deploy",
    "is_to_withdraw": "withdraw",
    "ablation": "is_ablated",
    "is_without_consent": "needs_consent",
    "suppress": "suppressed",
}
ARRIVES_IN = {
    ("embed", "encoder"): "encoder_folder",
    ("evaluate", "as_of"): "dates",
    ("evaluate", "params"): "path",
    ("train", "params"): "path",
    ("train", "tune"): "tune_minutes",
    ("finetune", "deploy"): "key",
    ("check-features", "as_of"): "day",
    ("init", "scan"): "db",
    ("alerts send", "to"): "text",
    ("publish", "to"): "given",
}
# What is switched on by these arrives as switched off.
NEGATIVE = {"is_to_keep", "is_without_consent"}
# What these do is seen in what is called or printed alone.
SEEN = {
    "has_no_report",
    "tier",
    "long_texts",
    "texts",
    "source",
    "as_json",
    "is_to_withdraw",
    "is_if_needed",
    "is_dry",
    "as_csv",
    "is_opened",
    "yes",
    "is_to_adopt",
    "column",
    "changes",
}


def leaves(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = dict(leaves(get_command(app)))


def flattened(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """What arrived, by name: of a dataclass each of its fields, of a list each of its values."""
    if is_dataclass(value):
        for one in fields(value):
            yield from flattened(one.name, getattr(value, one.name))
    elif isinstance(value, Mapping):
        yield name, str(dict(value))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from flattened(name, item)
    else:
        yield name, str(value)


@dataclass
class Outcome:
    """Which functions were called, what arrived there, and what was printed or stumbled over."""

    called: list[str] = field(default_factory=list)
    arrived: set[tuple[str, str]] = field(default_factory=set)
    said: str = ""

    def comparable(self) -> Any:
        seen = sorted((n, v) for n, v in self.arrived if "Mock" not in v and " at 0x" not in v)
        return self.called, seen, re.sub(r"id='\d+'|0x[0-9a-f]+", "", self.said)


class Tried:
    """Calls a command with options, in a folder of its own and with nothing behind it."""

    def __init__(self, call: Call, patch: pytest.MonkeyPatch, capsys: Any, folder: Path) -> None:
        self._call, self._capsys, self._now = call, capsys, Outcome()
        self._shop = ResolvedShop(folder / "shop.duckdb", folder / "cva_models")
        patch.chdir(folder)
        patch.setattr("cva_sql.cli.shop.lock.exclusive", lambda _: nullcontext())
        for name in call.obeyed_by:
            place, _, function = f"cva_sql.cli.{name}".rpartition(".")
            module = import_module(place)
            patch.setattr(module, function, self._recorder(getattr(module, function)))
        patch.setattr("typer.confirm", self._confirm)
        for stream in (sys.stdin, sys.stdout):
            patch.setattr(stream, "isatty", lambda: True)

    def _recorder(self, real: Callable[..., Any]) -> Callable[..., Any]:
        signature, name = inspect.signature(real), real.__name__

        def record(*given: Any, **named: Any) -> Any:
            self._now.called.append(name)
            for one, value in signature.bind(*given, **named).arguments.items():
                self._now.arrived.update(flattened(one, value))
            if name == "open_shop":
                return self._shop
            answer = self._call.answers.get(name)
            return answer(*given) if answer else MagicMock()

        return record

    def _confirm(self, *_: object, **__: object) -> bool:
        self._now.called.append("confirm")
        return True

    def __call__(self, *options: str) -> Outcome:
        self._now = Outcome()
        try:
            app([*shlex.split(self._call.line), *options], standalone_mode=False)
        except Exception as error:  # noqa: BLE001 - a mock where a result should be
            self._now.said = repr(error)
        self._now.said += self._capsys.readouterr().out
        return self._now


def given_for(parameter: Any, name: str) -> list[tuple[list[str], str]]:
    """Each way to give an option, and the value that should arrive."""
    long = next(opt for opt in parameter.opts if opt.startswith("--"))
    if parameter.is_flag:
        off = [([opt], "False") for opt in parameter.secondary_opts]
        return off or [([long], str(name not in NEGATIVE))]
    value = VALUES.get(name, f"x-{name}")
    return [([f"{long}={value}"], value)]


def test_every_command_is_tried() -> None:
    assert set(CALLS) == set(COMMANDS)


@pytest.mark.parametrize(
    ("command", "call", "counting"),
    [*((name, call, None) for name, call in CALLS.items()), *OTHERWISE],
)
def test_every_option_arrives_under_its_name(
    command: str,
    call: Call,
    counting: set[str] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tried = Tried(call, monkeypatch, capsys, tmp_path)
    plain = tried()
    assert tried().comparable() == plain.comparable()
    options = {one.name: one for one in COMMANDS[command].params if one.param_type_name == "option"}
    assert counting is None or counting <= set(options)
    lost = []
    for name in counting or options:
        for given, value in given_for(options[name], name):
            found = tried(*BESIDE.get((command, name), ()), *given)
            wanted = ARRIVES_IN.get((command, name)) or ARRIVES.get(name, name)
            if found.comparable() == plain.comparable() or (
                name not in SEEN and (wanted, value) not in found.arrived - plain.arrived
            ):
                lost.append((given, value, sorted(found.arrived - plain.arrived), found.said))
    assert lost == []
