"""A dbt project of the user's that has the package in it, and what its profile says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cva_sql.cli.shop.yaml_text import parse_yaml
from cva_sql.udfs.errors import CvaError, UsageError
from cva_sql.udfs.places import models_beside

PROJECT_FILE = "dbt_project.yml"
PROFILES_FILE = "profiles.yml"
DEFAULT_SCHEMA = "main"  # DuckDB's own, where a profile names none
PACKAGE_FILES = ("packages.yml", "dependencies.yml")
PACKAGE = "cva"  # the package's name in dbt
PLUGIN = "cva_sql.udfs.plugin"
PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class OwnProject:
    """A user's project. `output` is its target as written, so that no secret is copied."""

    root: Path
    profile: str
    target: str
    output: Mapping[str, Any]
    db: Path
    schema: str
    models_dir: Path
    vars: Mapping[str, Any]

    def profile_for(
        self, schema: str, models_dir: Path, db: Path | None = None, work_dir: Path | None = None
    ) -> dict[str, Any]:
        """The user's profile with this schema, the database's full path and our plugin."""
        config = {"models_dir": str(models_dir.resolve())}
        if work_dir is not None:
            config["work_dir"] = str(work_dir.absolute())
        plugin = {"module": PLUGIN, "config": config}
        output = {
            **self.output,
            "path": str((db or self.db).resolve()),
            "schema": schema,
            "plugins": [plugin, *(p for p in _plugins(self.output) if p.get("module") != PLUGIN)],
        }
        return {self.profile: {"target": self.target, "outputs": {self.target: output}}}


def find_project(folder: Path) -> Path | None:
    """The folder if it holds a dbt project with the package in it, else None."""
    if not (folder / PROJECT_FILE).is_file():
        return None
    packages = str(read_yaml(folder / PROJECT_FILE).get("packages-install-path", "dbt_packages"))
    if project_name(folder / packages / PACKAGE) == PACKAGE:
        return folder
    for name in PACKAGE_FILES:
        for entry in listed_packages(folder / name):
            local = entry.get("local") if isinstance(entry, dict) else None
            if isinstance(local, str) and project_name(folder / local) == PACKAGE:
                return folder
    return None


def read_project(root: Path) -> OwnProject:
    """The project with its default target; raises CvaError where cva's commands cannot use it."""
    settings = read_yaml(root / PROJECT_FILE)
    profile = os.environ.get("DBT_PROFILE") or render(settings.get("profile"), root)
    file, written = find_profile(root, profile)
    if written is None:
        raise CvaError(
            f"{root / PROJECT_FILE} names profile {profile!r}, which {file} does not have; "
            f"complete the project with: cva init {root}"
        )
    target = os.environ.get("DBT_TARGET") or render(written.get("target", "default"), root)
    output = (written.get("outputs") or {}).get(target)
    if not isinstance(output, dict):
        raise CvaError(f"profile {profile!r} in {file} has no target {target!r}; add it there")
    kind = render(output.get("type"), root)
    if kind != "duckdb":
        raise CvaError(
            f"target {target!r} of profile {profile!r} is of type {kind}; cva's commands need "
            "duckdb (another target: set DBT_TARGET)"
        )
    path = render(output.get("path", ":memory:"), root)
    if path.startswith((":memory:", "md:", "motherduck:")):
        raise CvaError(
            f"target {target!r} of profile {profile!r} has path {path}; cva's commands need a "
            "DuckDB file"
        )
    schema = render(output.get("schema", DEFAULT_SCHEMA), root)
    if not PLAIN_NAME.fullmatch(schema):
        raise CvaError(
            f"target {target!r} of profile {profile!r} has schema {schema!r}; cva's commands need "
            "one of letters, digits and underscores"
        )
    db = _shown(root / Path(path).expanduser())
    models = [p.get("config", {}).get("models_dir") for p in _plugins(output)]
    models = [render(m, root) for m in models if m]
    models_dir = root / models[0] if models else models_beside(db)
    return OwnProject(root, profile, target, output, db, schema, models_dir, _cva_vars(settings))


def find_profile(root: Path, profile: str) -> tuple[Path, dict[str, Any] | None]:
    """The profile and its file: beside the project, else where dbt looks for everyone's."""
    named = os.environ.get("DBT_PROFILES_DIR")
    places = [Path(named)] if named else [root, Path.home() / ".dbt"]
    # As in dbt, the first file there is counts, whatever is in it.
    files = [place / PROFILES_FILE for place in places if (place / PROFILES_FILE).is_file()]
    file = files[0] if files else places[0] / PROFILES_FILE
    found = read_yaml(file).get(profile) if files else None
    return file, found if isinstance(found, dict) else None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, empty where there is none; raises UsageError."""
    try:
        value = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{path} cannot be read: expected names and values")
    return value


def listed_packages(path: Path) -> list[Any]:
    """The entries under `packages` in a packages.yml or dependencies.yml."""
    found = read_yaml(path).get("packages")
    return found if isinstance(found, list) else []


def project_name(folder: Path) -> str | None:
    """The name of the dbt project in a folder; None where there is none."""
    name = read_yaml(folder / PROJECT_FILE).get("name")
    return str(name) if name is not None else None


def render(text: Any, root: Path) -> str:
    """A setting as dbt would read it: Jinja with `env_var`."""
    import jinja2

    def env_var(name: str, default: str | None = None) -> str:
        value = os.environ.get(name, default)
        if value is None:
            raise CvaError(f"{root} needs the environment variable {name}, which is not set")
        return value

    try:
        return jinja2.Template(str(text)).render(env_var=env_var)
    except jinja2.TemplateError as error:
        raise CvaError(f"{str(text)!r} in the profile of {root} cannot be read: {error}") from None


def _plugins(output: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [p for p in output.get("plugins") or [] if isinstance(p, dict)]


def _cva_vars(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The project's values of our vars; those under `cva` come first, as in dbt."""
    found = settings.get("vars") or {}
    merged = {**found, **(found.get(PACKAGE) or {})}
    return {name: value for name, value in merged.items() if name.startswith("cva_")}


def _shown(path: Path) -> Path:
    """The path in its shortest form: relative where it lies below the current folder."""
    full = Path(os.path.normpath(path.absolute()))
    here = Path.cwd()
    return full.relative_to(here) if full.is_relative_to(here) else full
