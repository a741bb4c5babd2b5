"""Writes a small dbt project with the package in it, or what a project of the user's lacks."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.defaults import internal_vars
from cva_sql.cli.shop.files import room_in, write_atomic
from cva_sql.cli.shop.own_project import (
    PACKAGE,
    PACKAGE_FILES,
    PLUGIN,
    PROFILES_FILE,
    PROJECT_FILE,
    find_profile,
    listed_packages,
    project_name,
    read_yaml,
    render,
)
from cva_sql.cli.shop.package import canonical_tables, project_dir
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from cva_sql.cli.init.scan.match import Proposal


COPY = "cva_package"
ENTRY = {"local": COPY}
PROJECT_BYTES = 1_000_000  # about what a project with the package's copy takes
NOT_COPIED = ("__init__.py", "__pycache__", "profiles.yml", "target", "logs", "dbt_packages")
TAKEN_NAMES = {"cva", "dbt", "dbt_duckdb"}  # dbt's own packages and ours
# What counts in the root project alone, and what dbt would warn of at each run.
ROOT_ONLY = re.compile(r"(?:^#.*\n)*^(?:target-path|log-path|profile):.*\n", re.MULTILINE)
RAW_SCHEMA = "    cva_raw_schema: raw  # where your tables are\n"  # as the template has it
MARK = "# A copy of cva's dbt package: `cva init` replaces it, and changes made here are lost.\n"
# Not offered in a new project, as the internal ones: written by the template, or rarely wanted.
NOT_OFFERED = {"cva_raw_schema", "cva_feature_catalog_extra", "cva_now"}


@dataclass
class Written:
    """What became of each file, and what the user is asked to add by hand.

    A `trial` writes nothing: it is there to be refused before anything is written.
    """

    trial: bool = False
    lines: list[str] = field(default_factory=list)
    to_add: list[str] = field(default_factory=list)

    def note(self, what: str, name: str, why: str = "") -> None:
        self.lines.append(f"{what:<10} {name}" + (f"  ({why})" if why else ""))

    def write(self, folder: Path, name: str, text: str, lacks: str = "") -> None:
        """Writes a file, over no link; `lacks` is what the one that is there has not yet."""
        path = folder / name
        refuse_links(folder, path, lacks)
        if not self.trial:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, text.encode())

    def ask(self, file: Path | str, lines: str) -> None:
        indented = "\n".join(f"    {line}" for line in lines.rstrip().splitlines())
        self.to_add.append(f"add to {file}:\n{indented}")


def init_project(folder: Path, db: Path | None = None, proposal: Proposal | None = None) -> Written:
    """Writes what is not there yet; raises UsageError or CvaError where that is not possible."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; expected a folder for the dbt project")
    if project_name(folder) == PACKAGE:
        raise UsageError(f"{folder} is cva's own dbt project; name another folder")
    done = Written()
    try:
        with room_in(folder, PROJECT_BYTES):
            _write_all(folder, db, proposal, Written(trial=True))
            folder.mkdir(parents=True, exist_ok=True)
            _write_all(folder, db, proposal, done)
    except OSError as error:
        raise CvaError(
            f"{error.filename or folder} cannot be written: {error.strerror or error}"
        ) from None
    return done


def _write_all(folder: Path, db: Path | None, proposal: Proposal | None, done: Written) -> None:
    is_first = not (folder / COPY).exists()
    profile = _write_project_file(folder, proposal, done)
    _write_profile(folder, profile, db, done)
    _write_packages(folder, done)
    _refresh_copy(folder, done)
    _write_gitignore(folder, done)
    if is_first:
        models = (read_yaml(folder / PROJECT_FILE).get("model-paths") or ["models"])[0]
        path = f"{models}/example_feature.sql"
        _write_once(folder, path, template("example_feature.sql"), done)


def refuse_links(folder: Path, path: Path, lacks: str = "") -> None:
    """Raises CvaError where the path, or a folder between it and the project's, is a link."""
    for part in takewhile(lambda part: part != folder, (path, *path.parents)):
        if part.is_symlink():
            add = f"add to {path}: {lacks}; or " if lacks else ""
            raise CvaError(
                f"{part} is a link, which cva init does not write through; {add}put a file or"
                " folder of the project's own in its place"
            )


def template(name: str) -> str:
    """A template's text."""
    return (files("cva_sql.cli.init") / "templates" / name).read_text(encoding="utf-8")


def dbt_name(text: str) -> str:
    """The text as a name that dbt takes for a project and that none of its packages has."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "shop"
    if name[0].isdigit():
        name = f"shop_{name}"
    return f"{name}_shop" if name in TAKEN_NAMES else name


def _write_once(folder: Path, name: str, text: str, done: Written) -> None:
    if (folder / name).exists():
        done.note("kept", name)
        return
    done.write(folder, name, text)
    done.note("written", name)


def _write_project_file(folder: Path, proposal: Proposal | None, done: Written) -> str:
    """Writes dbt_project.yml, or keeps the user's; the name of the profile in it."""
    name = dbt_name(folder.resolve().name)
    text = template(PROJECT_FILE).replace("__NAME__", name)
    text = text.replace("__VARS__", default_vars(proposal.tables if proposal else ()))
    if proposal is not None:
        from cva_sql.cli.init.scan.report import vars_yaml

        found = vars_yaml(proposal)
        if (folder / PROJECT_FILE).exists():
            done.ask(f"{PROJECT_FILE}, under vars: cva", found)
        text = text.replace(RAW_SCHEMA, indent(found, "    "))
    _write_once(folder, PROJECT_FILE, text, done)
    profile = read_yaml(folder / PROJECT_FILE).get("profile")
    if profile is None:
        done.ask(PROJECT_FILE, f"profile: {name}")
        return name
    return render(profile, folder)


def default_vars(mapped: Collection[str] = ()) -> str:
    """Every var of the package that a user may want, commented out, with its default.

    The tables in `mapped` are left out.
    """
    lines = []
    for table, columns in canonical_tables().items():
        if table in mapped:
            continue
        lines.append(f"# cva_{table}_identifier: {table}")
        lines.append(f"# cva_{table}_columns:  # SQL expressions over your columns")
        for column, (_, is_required) in columns.items():
            lines.append(f"#   {column}: {column}" + ("  # required" if is_required else ""))
    source = (project_dir() / PROJECT_FILE).read_text(encoding="utf-8").split("\nvars:\n")[1]
    for line in source.splitlines():
        if line.split(":")[0].strip() not in NOT_OFFERED | internal_vars():
            lines.append(f"# {line.strip()}")
    return "\n".join(f"    {line}" for line in lines)


def _write_profile(folder: Path, profile: str, db: Path | None, done: Written) -> None:
    path = os.path.relpath(db, folder) if db else "shop.duckdb"
    quoted = Path(path).as_posix().replace("'", "\\\\'").replace('"', '\\"')
    text = template(PROFILES_FILE).replace("__PROFILE__", profile).replace("__DB__", quoted)
    file, found = find_profile(folder, profile)
    if not file.exists():
        # Beside the project, also where DBT_PROFILES_DIR names another place that has none.
        _write_once(folder, PROFILES_FILE, text, done)
        return
    shown = PROFILES_FILE if file.parent == folder else str(file)
    outputs = (found or {}).get("outputs")
    if not isinstance(outputs, dict):
        if file.parent == folder:
            done.note("kept", shown, f"it has no profile {profile}")
            done.ask(shown, text)
        else:  # the projects of others are in that file
            _write_once(folder, PROFILES_FILE, text, done)
        return
    done.note("kept", shown)
    for target, output in outputs.items():
        if not isinstance(output, dict) or output.get("type") != "duckdb":
            continue
        plugins = [p for p in output.get("plugins") or [] if isinstance(p, dict)]
        if PLUGIN not in [p.get("module") for p in plugins]:
            where = f"{shown}, profile {profile}, target {target}"
            done.ask(where, f"plugins:\n  - module: {PLUGIN}")


def _write_packages(folder: Path, done: Written) -> None:
    """Adds the package to the list where that leaves the user's text as it is."""
    name = next((n for n in PACKAGE_FILES if listed_packages(folder / n)), PACKAGE_FILES[0])
    path = folder / name
    entries = listed_packages(path)
    if not path.exists():
        _write_once(folder, name, template("packages.yml"), done)
    elif ENTRY in entries:
        done.note("kept", name)
    elif (longer := _with_entry(path, entries)) is not None:
        done.write(folder, name, longer, f"- local: {COPY}")
        done.note("completed", name, f"local: {COPY}")
    else:
        done.note("kept", name)
        done.ask(f"{name}, under packages", f"- local: {COPY}")


def _with_entry(path: Path, entries: list[Any]) -> str | None:
    """The file's text with our entry at its end, where that says just what is meant."""
    import yaml  # type: ignore[import-untyped]

    text = path.read_text(encoding="utf-8")
    before = yaml.safe_load(text) or {}
    text = text if text.endswith("\n") or not text else f"{text}\n"
    wanted = {**before, "packages": [*entries, ENTRY]}
    items = re.findall(r"^( *)- ", text, re.MULTILINE)
    starts = [items[-1] + "- "] if items else ["packages:\n  - "]
    for start in starts:
        longer = f"{text}{start}local: {COPY}\n"
        try:
            if yaml.safe_load(longer) == wanted:
                return longer
        except yaml.YAMLError:
            continue
    return None


def _refresh_copy(folder: Path, done: Written) -> None:
    target, new, old = (folder / name for name in (COPY, f".{COPY}.new", f".{COPY}.old"))
    is_first = not target.exists()
    if target.is_symlink() or (not is_first and not _is_copy(target)):
        raise CvaError(f"{target} is not a copy of cva's dbt package; move it out of the way")
    for path in (new, old):
        refuse_links(folder, path)
    if done.trial:
        return
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        shutil.copytree(project_dir(), new, ignore=shutil.ignore_patterns(*NOT_COPIED))
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        raise
    for path in [new, *new.rglob("*")]:  # the packaged files may be read-only
        path.chmod(path.stat().st_mode | 0o200)
    file = new / PROJECT_FILE
    text = ROOT_ONLY.sub("", file.read_text(encoding="utf-8"))
    file.write_text(MARK + text, encoding="utf-8")
    if not is_first:
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    version = read_yaml(target / PROJECT_FILE)["version"]
    done.note("written" if is_first else "refreshed", f"{COPY}/", version)


def _is_copy(folder: Path) -> bool:
    """Whether `cva init` made the folder: a project of the user's may have the same name."""
    try:
        text = (folder / PROJECT_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return False
    return text.startswith(MARK) and project_name(folder) == PACKAGE


def _write_gitignore(folder: Path, done: Written) -> None:
    path = folder / ".gitignore"
    if not path.exists():
        _write_once(folder, ".gitignore", template("gitignore"), done)
        return
    text = path.read_text(encoding="utf-8")
    known = {line.strip().strip("/") for line in text.splitlines()}
    missing = [n for n in template("gitignore").splitlines() if n.strip("/") not in known]
    if not missing:
        done.note("kept", ".gitignore")
        return
    start = "" if text.endswith("\n") or not text else "\n"
    lacks = ", ".join(missing)
    done.write(folder, ".gitignore", text + start + "\n".join(missing) + "\n", lacks)
    done.note("completed", ".gitignore", lacks)
