"""The dbt vars with their defaults, as the package's dbt_project.yml declares them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from cva_sql.cli.shop.own_project import PROJECT_FILE, read_yaml
from cva_sql.cli.shop.package import project_dir

INTERNAL = re.compile(r"^  (cva_\w+):.*# internal\b", re.MULTILINE)  # marks a line under `vars`


@cache
def default_vars() -> Mapping[str, Any]:
    """Every var of the package and its default."""
    return MappingProxyType(read_yaml(project_dir() / PROJECT_FILE)["vars"])


@cache
def internal_vars() -> frozenset[str]:
    """The vars that cva's own commands set, and nobody else has a use for."""
    return frozenset(INTERNAL.findall((project_dir() / PROJECT_FILE).read_text(encoding="utf-8")))
