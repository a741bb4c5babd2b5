"""`cva_explain` and `cva_explain_aged` by whatever model is deployed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cva_sql.udfs.aged_rows import explain_aged
from cva_sql.udfs.coalitions import Explainer
from cva_sql.udfs.explained_rows import explain_struct
from cva_sql.udfs.explainer import load_explainer
from cva_sql.udfs.predict import struct_columns
from cva_sql.udfs.progress import Progress
from cva_sql.udfs.sessions import deployed_folder, load_model


class ShopExplainer:
    """Explains rows by whatever model is deployed when they come."""

    def __init__(self, models_dir: Path) -> None:
        self._models_dir = models_dir
        self._progress = Progress("customers explained")
        self._warned: str | None = None

    def explain(self, rows: Any) -> Any:
        """The Arrow struct of EXPLANATION_TYPE for one of features.

        NULL, and a line on stderr, by a model from before explanations: scoring goes on without.
        """
        return self._explained(rows, explain_struct)

    def explain_aged(self, rows: Any, *before: Any) -> Any:
        """The Arrow struct of AGED_TYPE: `explain_aged` of the rows, NULL as above."""
        return self._explained(rows, lambda by, rows: explain_aged(by, rows, *before))

    def _explained(self, rows: Any, call: Callable[[Explainer, Any], Any]) -> Any:
        import pyarrow as pa

        folder = deployed_folder(self._models_dir)
        manifest = load_model(folder).manifest
        if manifest.explanation is None:
            rows, _ = struct_columns(rows)
            if self._warned != manifest.version:
                self._warned = manifest.version
                sys.stderr.write(
                    f"cva: no reasons: model {manifest.version} has no typical customer to "
                    "explain against; retrain with: cva train\n"
                )
            return pa.nulls(len(rows))
        self._progress.start()
        explained = call(load_explainer(folder), rows)
        self._progress.add(len(explained))
        return explained
