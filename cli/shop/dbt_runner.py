"""Runs the packaged dbt project, which may be read-only, or the user's own on a user's database."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.files import write_files
from cva_sql.cli.shop.limits import duckdb_limits
from cva_sql.cli.shop.own_project import PACKAGE, PLUGIN
from cva_sql.cli.shop.owner import Owned, claim
from cva_sql.cli.shop.package import project_dir
from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.shop.sql_text import quoted
from cva_sql.udfs.cores import cores
from cva_sql.udfs.errors import CvaError, UsageError
from cva_sql.udfs.places import models_beside

JINJA = re.compile(r"\{[{%#]")
UNGIVABLE = re.compile("[\ud800-\udfff]|\\\\u0000")  # of a var as JSON
# What YAML refuses, or takes for the end of a line and folds.
NOT_PLAIN = re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
QUIET_SECONDS = 2.0  # a line of progress at most this often
# What takes dbt a second and nobody reads, unless the environment asks for it: manifest.json and
# run_results.json, and its log as JSON.
UNASKED = {"DBT_WRITE_JSON": "false", "DBT_LOG_FORMAT_FILE": "debug"}
ARTEFACTS = {"DBT_WRITE_JSON": "true"}
OURS = "cva: "  # what a SQL function or a model of the package says starts with this
QUESTION = "cva asks: "  # a model cannot go on without an answer, and names the var that gives it


def run_dbt(
    shop: ResolvedShop,
    command: str,
    *,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    variables: Mapping[str, Any] | None = None,
    schema: str | None = None,
    environment: Mapping[str, str] | None = None,
    from_scratch: bool = False,
    arguments: Sequence[str] = (),
    attached: Mapping[str, Path] | None = None,
) -> tuple[str, ...]:
    """`dbt <command>` on the shop, progress on stderr; a CvaError with dbt's reason if it fails.

    Gives what the package's models said of the data, a UsageError where one of them asked.
    `environment` is added to the process's own, `arguments` to the command's. `from_scratch`: the
    seeds and incremental models of the user's project are built anew as well. `attached` are other
    databases by the name they have in SQL, for reading.
    """
    work = shop.work_dir
    claim(shop, Owned.WORK)
    _write_profile(shop, schema or shop.schema, attached or {})
    root = shop.project.root if shop.project else project_dir()
    settings = {**shop.vars, **(variables or {})}
    is_side = schema not in (None, shop.schema)
    if is_side:
        settings["cva_image_vectors"] = f"{shop.schema}_cva.cva_image_vectors"
    refuse_jinja(settings)
    if shop.project:
        settings["cva_schema_check"] = "side" if is_side else "own"
        if from_scratch:
            command = "build"
    call = [
        sys.executable, "-m", "cva_sql.cli.shop.dbt_process", command,
        "--project-dir", str(root.resolve()), "--profiles-dir", str(work),
        "--vars", _as_yaml(settings),
        *arguments,
        *_selection(shop, command, select, from_scratch=from_scratch),
    ]  # fmt: skip
    if exclude:
        call += ["--exclude", *exclude]
    target = shop.target_dir(schema, (variables or {}).get("cva_spine"))
    return _execute(shop, call, {**(environment or {}), "DBT_TARGET_PATH": str(target)})


def _selection(
    shop: ResolvedShop, command: str, select: Sequence[str], *, from_scratch: bool
) -> list[str]:
    """The options that say what of the project dbt looks at."""
    options = list[str]()
    if from_scratch and shop.project:
        options += ["--full-refresh", "--resource-type", "model", "--resource-type", "seed"]
    elif command == "build":
        # The unit tests prove the package, not the shop's data: they run in its own test suite.
        options += ["--exclude-resource-type", "unit_test"]
        if shop.project and not select:
            # Not what else the project has, nor tests that look at more than what is built.
            select = [f"+package:{PACKAGE}"]
            options += ["--indirect-selection", "buildable"]
    return [*options, "--select", *select] if select else options


def refuse_jinja(settings: Mapping[str, Any]) -> None:
    """Raises UsageError for a var that dbt would take for a template, and run, or cannot be given.

    No process can be given a NUL or half a character.
    """
    for name, value in settings.items():
        text = json.dumps([name, value], default=str, ensure_ascii=False)
        if UNGIVABLE.search(text):
            raise UsageError(f"{shortened(name)} holds characters that are no text: {text[:60]!r}")
        if JINJA.search(text):
            raise UsageError(
                f"{shortened(name)} is {shortened(str(value))!r}; expected a value without"
                " {{, {% and {#, which dbt would run"
            )


def _as_yaml(settings: Mapping[str, Any]) -> str:
    """JSON that YAML reads as the same: emojis whole, control characters by their numbers."""
    text = json.dumps(settings, default=str, ensure_ascii=False)
    return NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _execute(
    shop: ResolvedShop, call: Sequence[str], environment: Mapping[str, str]
) -> tuple[str, ...]:
    work = shop.work_dir
    settings = {
        **UNASKED,
        **os.environ,
        **environment,
        "DBT_LOG_PATH": str(work / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    process = subprocess.Popen(
        call,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=settings,
        cwd=shop.project.root if shop.project else work,
        preexec_fn=_die_with_parent(),
    )
    errors, said = _follow(process)
    status = process.wait()
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
        raise CvaError(
            f"dbt was killed by {name}, for lack of memory or by somebody"
            f" (dbt's log: {work / 'logs' / 'dbt.log'})"
        )
    if status != 0:
        for line in "\n".join(errors).splitlines():
            if QUESTION in line:
                raise UsageError(line.split(QUESTION)[1].strip())
        raise CvaError(reason_of_dbt(errors) + f" (dbt's log: {work / 'logs' / 'dbt.log'})")
    return tuple(said)


def _write_profile(shop: ResolvedShop, schema: str, attached: Mapping[str, Path]) -> None:
    """The profile that points at the shop; JSON is YAML."""
    if shop.project:
        profile = shop.project.profile_for(schema, shop.models_dir, shop.db, shop.work_at)
    else:
        db, models = shop.db.resolve(), shop.models_dir.resolve()
        # Nothing in it says where the shop is: dbt would parse anew in a shop moved or copied.
        is_usual = models == models_beside(db).resolve()
        config = {} if is_usual else {"models_dir": str(models)}
        if shop.work_at is not None:
            config["work_dir"] = str(shop.work_dir)
        plugin = {"module": PLUGIN, "config": config}
        output = {
            "type": "duckdb",
            # from work_dir, where dbt is started
            "path": f"../{db.name}" if shop.work_dir.parent == db.parent else str(db),
            "schema": schema,
            "threads": cores(),
            "plugins": [plugin],
        }
        limits = duckdb_limits()
        if limits:  # as of when dbt connects: as settings they would be set anew for each model
            output["config_options"] = limits
        profile = {"cva": {"target": "run", "outputs": {"run": output}}}
    others = [
        {"path": str(path.resolve()), "alias": quoted(alias), "read_only": True}
        for alias, path in attached.items()
    ]
    if others:
        (named,) = profile.values()
        (output,) = named["outputs"].values()
        output["attach"] = [*(output.get("attach") or []), *others]
    text = json.dumps(profile, indent=2, default=str)
    write_files(shop.work_dir, {"profiles.yml": text.encode()})


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux a killed `cva` takes its dbt along, which would else hold the database's lock."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    pr_set_pdeathsig, sigkill = 1, 9
    return lambda: prctl(pr_set_pdeathsig, sigkill)


def _follow(process: subprocess.Popen[str]) -> tuple[list[str], list[str]]:
    """Reports finished models as they come; the error texts, and what our models said."""
    errors, said = list[str](), list[str]()
    last = time.monotonic()
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(OURS):
            say(f"  {line.removeprefix(OURS).rstrip()}")
            continue
        try:
            event = json.loads(line)
            info, data = event["info"], event.get("data", {})
        except (ValueError, KeyError, TypeError):
            errors.append(line.strip())
            continue
        if info.get("level") == "error":
            errors.append(str(info.get("msg", "")))
        if info.get("name") == "JinjaLogInfo":  # a model has something to say
            text = str(data.get("msg", ""))
            if text.startswith(OURS):
                said.append(text.removeprefix(OURS))
            say(f"  {text.removeprefix(OURS)}")
        if info.get("name") in {"LogModelResult", "LogTestResult"}:
            now = time.monotonic()
            if now - last >= QUIET_SECONDS:
                last = now
                name = data.get("node_info", {}).get("node_name", "")
                total = data.get("total") or data.get("num_models")
                say(f"  dbt {data.get('index')}/{total} {name}")
    return errors, said


NOISE = re.compile(
    r"^(Completed with|Done\.|Finished running|compiled code at|Encountered an error|Traceback|"
    r"\[?\d\d:\d\d:\d\d|> (in macro|called by) |"
    r"Failure in (model|test|unit_test)|\d+ of \d+ (ERROR|FAIL)|$)"
)


def reason_of_dbt(errors: Sequence[str]) -> str:
    """dbt's errors in one line: our own message where there is one, else the first with a why."""
    text = "\n".join(errors)
    ours = re.search(r"(?:ModelError|CvaError|ValueError): (.+)", text)
    if ours:
        return ours.group(1).strip()
    lines = [line.strip() for line in text.splitlines()]
    failed = [line for line in lines if "Failure in test" in line]
    if failed:
        return "; ".join(failed)
    lines = [line for line in lines if not NOISE.match(line)]
    checked = [i for i, line in enumerate(lines) if "operation cva-on-run-start" in line]
    if checked and len(lines) > checked[0] + 1:
        return lines[checked[0] + 1]  # a check of our own, before anything was built
    starts = [i for i, line in enumerate(lines) if "Error" in line]
    start = starts[0] if starts else 0
    return " ".join(lines[start : start + 4]) or "dbt failed without saying why"
