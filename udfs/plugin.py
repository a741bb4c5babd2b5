"""The dbt-duckdb plugin: `plugins: [{module: cva_sql.udfs.plugin, config: {models_dir: …}}]`."""

from __future__ import annotations

import atexit
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from cva_sql.udfs.memory import KEPT
from cva_sql.udfs.register import register, unregister


class Plugin(BasePlugin):
    """Registers the SQL functions in dbt's connection."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        self._models_dir = plugin_config.get("models_dir")
        self._work_dir = plugin_config.get("work_dir")

    def configure_connection(self, conn: Any) -> None:
        register(conn, models_dir=self._models_dir, work_dir=self._work_dir)
        atexit.register(unregister, conn)

    def configure_cursor(self, cursor: Any) -> None:
        """Called before a thread of dbt's builds its next model: the one before has ended."""
        KEPT.restore(cursor)
