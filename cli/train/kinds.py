"""Trains the kinds of models beside the value model, each deployed if it beats its rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.shop.sql_text import one_line
from cva_sql.cli.shop.unforeseen import unforeseen
from cva_sql.cli.train.deployment import Wish, settle
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
            found.texts.words,
            found.texts.head,
        )
    finally:
        con.close()


def train_others(shop: ResolvedShop, found: TrainingSet, wish: Wish) -> tuple[TrainedOther, ...]:
    """Every kind but the value model, one after the other; one that fails stops nobody."""
    from cva_sql.models_onnx.kinds.registry import other_kinds

    return tuple(_train(shop, found, kind, wish) for kind in other_kinds())


def leave_untrained(shop: ResolvedShop, reason: str, wish: Wish) -> tuple[TrainedOther, ...]:
    """Settles every kind but the value model: with so little history none can be judged."""
    from cva_sql.models_onnx.kinds.registry import other_kinds

    return tuple(
        TrainedOther(
            kind.name,
            None,
            False,
            settle(
                shop.models_dir, None, is_better=False, reason=reason, wish=wish, kind=kind.name
            ).reason,
        )
        for kind in other_kinds()
    )


def _train(shop: ResolvedShop, found: TrainingSet, kind: Kind, wish: Wish) -> TrainedOther:
    """What is not better than its rules, or fails, leaves what was deployed."""
    from cva_sql.cli.shop.model_store import store_model
    from cva_sql.cli.shop.progress import step
    from cva_sql.models_onnx.kinds.contract import check_file
    from cva_sql.udfs.manifest import read_manifest

    try:
        with step(f"training {kind.name}"):
            with open_past(shop, found) as past:
                trained = kind.train(past)
            settling = partial(settle, shop.models_dir, wish=wish, kind=kind.name)
            if trained is None:
                settled = settling(None, is_better=False, reason="too little to learn from")
                return TrainedOther(kind.name, None, False, settled.reason)
            check_file(kind, trained)
            stored = store_model(shop.models_dir, trained.onnx, trained.manifest, trained.beside)
            manifest = read_manifest(stored)
            settled = settling(manifest, is_better=trained.is_better, reason=trained.verdict)
        return TrainedOther(kind.name, manifest.version, settled.is_deployed, settled.reason)
    except Exception as error:  # noqa: BLE001 - whatever it is, the value model is deployed
        what = one_line(error) if isinstance(error, CvaError) else unforeseen(error)
        reason = f"failed, nothing was changed: {what}"
        return TrainedOther(kind.name, None, False, reason)
