"""Trains the kinds of models beside the value model, each deployed if it beats its rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.shop.sql_text import one_line
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from cva_sql.cli.train.examples import TrainingSet
    from cva_sql.models_onnx.kinds.contract import Kind, Past


@dataclass(frozen=True)
class TrainedOther:
    """What became of a kind; `version` is None where nothing could be trained."""

    kind: str
    version: str | None
    is_deployed: bool
    reason: str


@contextmanager
def open_past(shop: ResolvedShop, found: TrainingSet) -> Iterator[Past]:
    """What kinds learn from; they read the database and do not write it."""
    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.progress import say
    from cva_sql.cli.train.examples import TRAIN_SCHEMA
    from cva_sql.models_onnx.kinds.contract import Past

    con = connect(shop.db, read_only=True)
    try:
        yield Past(
            con,
            TRAIN_SCHEMA,
            found.plan,
            found.first_order,
            shop.db.name,
            found.data,
            found.texts.projection,
            lambda text: say(f"  {text}"),
        )
    finally:
        con.close()


def train_others(shop: ResolvedShop, found: TrainingSet) -> tuple[TrainedOther, ...]:
    """Every kind but the value model, one after the other; one that fails stops nobody."""
    from cva_sql.models_onnx.kinds.registry import other_kinds

    return tuple(_train(shop, found, kind) for kind in other_kinds())


def leave_untrained(shop: ResolvedShop, reason: str) -> tuple[TrainedOther, ...]:
    """Withdraws every kind but the value model: with so little history none can be judged."""
    from cva_sql.cli.shop.model_store import withdraw
    from cva_sql.models_onnx.kinds.registry import other_kinds

    kinds = [kind.name for kind in other_kinds()]
    for kind in kinds:
        withdraw(shop.models_dir, kind)
    return tuple(TrainedOther(kind, None, False, reason) for kind in kinds)


def _train(shop: ResolvedShop, found: TrainingSet, kind: Kind) -> TrainedOther:
    """What is not better than its rules is withdrawn; a fault leaves what was deployed."""
    from cva_sql.cli.shop.model_store import deploy, store_model, withdraw
    from cva_sql.cli.shop.progress import step
    from cva_sql.models_onnx.kinds.contract import check_file

    try:
        with step(f"training {kind.name}"):
            with open_past(shop, found) as past:
                trained = kind.train(past)
            if trained is None:
                withdraw(shop.models_dir, kind.name)
                return TrainedOther(kind.name, None, False, "too little to learn from")
            check_file(kind, trained)
            version = trained.manifest.version
            store_model(shop.models_dir, trained.onnx, trained.manifest)
            if trained.is_better:
                deploy(shop.models_dir, version, kind.name)
            else:
                withdraw(shop.models_dir, kind.name)
        return TrainedOther(kind.name, version, trained.is_better, trained.verdict)
    except Exception as error:  # noqa: BLE001 - whatever it is, the value model is deployed
        what = "" if isinstance(error, CvaError) else f"{type(error).__name__}: "
        reason = f"failed, nothing was changed: {what}{one_line(error)}"
        return TrainedOther(kind.name, None, False, reason)
