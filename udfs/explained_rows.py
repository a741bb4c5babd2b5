"""`cva_explain` over a whole table: by the deployed model, with progress, NULL where it cannot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from cva_sql.udfs.coalitions import load_explainer
from cva_sql.udfs.explain import explain_struct
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
        explained = explain_struct(load_explainer(folder), rows)
        self._progress.add(len(explained))
        return explained
