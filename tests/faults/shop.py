"""The shop that is harmed, what is done to it, and what has to hold afterwards."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

CUSTOMERS = 200
DB = "shop.duckdb"
RUN_SECONDS = 300  # none takes as long, so one that does hangs
DYING_SECONDS = 20
MINE = ("files/orders.csv", "notes.txt", "published/mine/notes.txt", "cva_models/notes.txt")
# `cva run` on tables that are built: what is left is the gate and publishing.
PUBLISH = """
import sys
import cva_sql.cli.shop.dbt_runner as dbt
dbt.run_dbt = lambda *_, **__: ()
from cva_sql.cli.app import main
sys.argv = ["cva", "run", "--db", "shop.duckdb"]
main()
"""
CVA = (sys.executable, "-m", "cva_sql.cli.app")
COMMANDS: dict[str, tuple[str, ...]] = {
    "load": (*CVA, "load", "orders", "files/orders.csv", "--db", DB, "--replace"),
    "append": (*CVA, "load", "orders", "files/orders.csv", "--db", DB, "--append"),
    "embed": (*CVA, "embed", "--db", DB),
    "deploy": (*CVA, "models", "deploy", "rule", "--db", DB),
    "publish": (sys.executable, "-c", PUBLISH),
    "explain": (*CVA, "explain", "C000001", "--db", DB),
    "report": (*CVA, "report", "--db", DB),
    "init": (*CVA, "init", "project", "--db", DB),
    "run": (*CVA, "run", "--db", DB),
    "train": (*CVA, "train", "--db", DB),
}
UNFINISHED = re.compile(r"\..+\.(cva-)?\d+")  # what is renamed when it is whole
SLOW = ("run", "train")  # most of a minute where the machine is busy


@dataclass
class Counts:
    """How often each fault was tried, and what was lost."""

    tried: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def add(self, fault: str, what: str, problems: Sequence[str]) -> None:
        self.tried[fault] = self.tried.get(fault, 0) + 1
        self.lost += [f"{fault}, {what}: {problem}" for problem in problems]
        for problem in problems:
            print(f"LOST {fault}, {what}: {problem}", flush=True)


def build(folder: Path, *, trained: bool) -> None:
    """A shop of 200 customers that was run, with files of its owner in every folder."""
    from cva_sql.cli.demo.sample_shop import TABLES, write_shop

    write_shop(folder / "files", customers=CUSTOMERS)
    for table in TABLES:
        must(folder, (*CVA, "load", table, f"files/{table}.csv", "--db", DB))
    for name in ("train", "run") if trained else ("run",):
        must(folder, COMMANDS[name])
    for name in MINE:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_text("of the owner", encoding="utf-8")


def start(folder: Path, command: Sequence[str], **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "BROWSER": "true"}, **options,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code, and what is wrong with how a failure was said ('' is nothing)."""
    out, err = process.communicate(timeout=RUN_SECONDS)
    if process.returncode in (0, -signal.SIGKILL):
        return process.returncode, ""
    said = [line for line in err.splitlines() if line.startswith("cva: ")]
    is_one = len(said) == 1 and err.splitlines()[-1] == said[0]
    is_raw = "Traceback" in out + err or "the whole of it:" in err
    if is_one and not is_raw and process.returncode in (1, 2):
        return process.returncode, ""
    return process.returncode, f"exit code {process.returncode}, said {err[-300:]!r}"


def said_well(folder: Path, command: Sequence[str], **options: object) -> list[str]:
    """Runs the command; what is wrong with how it failed, if it did."""
    problem = finish(start(folder, command, **options))[1]
    return [problem] if problem else []


def must(folder: Path, command: Sequence[str]) -> None:
    problems = rerun(folder, command)
    if problems:
        raise SystemExit(f"{' '.join(command)}: {problems[0]}")


def rerun(folder: Path, command: Sequence[str]) -> list[str]:
    process = start(folder, command)
    _, err = process.communicate(timeout=RUN_SECONDS)
    return [] if process.returncode == 0 else [f"the rerun failed: {err[-300:]!r}"]


def killed_at(folder: Path, command: Sequence[str], seconds: float) -> list[str]:
    """Kills the command after these seconds, if it is not done by then."""
    process = start(folder, command)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    problem = finish(process)[1]
    _wait_for_children(folder)
    return [problem] if problem else []


def _wait_for_children(folder: Path) -> None:
    """dbt dies with the command that started it, and lets go of the database a little later."""
    until = time.monotonic() + DYING_SECONDS
    while time.monotonic() < until:
        try:
            duckdb.connect(str(folder / DB), read_only=True).close()
        except duckdb.IOException:
            time.sleep(0.1)
        else:
            return


def raw_tables(folder: Path) -> dict[str, str]:
    """A digest of the rows of each raw table."""
    with duckdb.connect(str(folder / DB), read_only=True) as con:
        names = con.execute(
            "select table_name from duckdb_tables() where schema_name = 'raw' order by 1"
        ).fetchall()
        return {
            name: str(
                con.execute(f"select count(*), bit_xor(hash(t)) from raw.{name} t").fetchone()
            )
            for (name,) in names
        }


def published_problems(folder: Path) -> list[str]:
    """Whatever is published is one whole run."""
    file = folder / "published" / "current" / "cva.duckdb"
    try:
        with duckdb.connect(str(file.resolve()), read_only=True) as con:
            found = con.execute(
                "select count(*), count(distinct scored_at), count(distinct model_version), "
                "(select count(*) from customer_features), (select count(*) from cva_rejects) > 0 "
                "from customer_value"
            ).fetchone()
    except (duckdb.Error, OSError) as error:
        return [f"published cannot be read: {error}"]
    whole = (CUSTOMERS, 1, 1, CUSTOMERS, True)
    return [] if found == whole else [f"published is {found}, not {whole}"]


@dataclass(frozen=True)
class Before:
    """What the shop was before it was harmed."""

    raw: dict[str, str]
    mine: dict[str, str]

    @classmethod
    def of(cls, folder: Path) -> Before:
        return cls(raw_tables(folder), {name: digest(folder / name) for name in MINE})

    def problems(self, folder: Path) -> list[str]:
        found = published_problems(folder)
        try:
            now = raw_tables(folder)
        except duckdb.Error as error:
            return [*found, f"the database cannot be read: {error}"]
        found += [f"raw.{n} was changed" for n, rows in self.raw.items() if now.get(n) != rows]
        gone = [n for n, was in self.mine.items() if digest(folder / n) != was]
        return found + [f"{name} of the owner was changed" for name in gone]


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "none"


def left_behind(folder: Path) -> list[str]:
    """Temporary files; dbt's own folders are its own."""
    names = [path.relative_to(folder) for path in folder.rglob("*")]
    marks = (".unfinished-", ".tmp", ".wal", ".journal", ".part")
    return [
        f"left behind: {name}"
        for name in names
        if not any(part.startswith(("target", "logs")) for part in name.parts)
        and (any(mark in name.name for mark in marks) or UNFINISHED.fullmatch(name.name))
    ]


def copied(shop: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(shop, folder, symlinks=True)
    return folder


class Reader:
    """Reads what is published over and over, as a dashboard does, until it is stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.reads, self.failed = folder, 0, list[str]()
        self.is_stopped = threading.Event()
        self.thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        while not self.is_stopped.is_set():
            self.failed += published_problems(self.folder)
            self.reads += 1
            time.sleep(0.05)

    def __enter__(self) -> Reader:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_stopped.set()
        self.thread.join()
