"""The model contract: what a manifest says, and how columns become a model's named inputs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest_checks import check_manifest
from cva_sql.udfs.model_files import parse_object, read_checked, read_text_file
from cva_sql.udfs.projection import TextProjection
from cva_sql.udfs.rating import RatingHead

OUTPUTS = (
    "predicted_value",
    "predicted_value_p10",
    "predicted_value_p50",
    "predicted_value_p90",
    "purchase_probability",
    "predicted_orders",
    "horizon_retention_rate",
    "score",
)
MODEL_FILE = "model.onnx"
MEMBERS_FILE = "members.onnx"  # beside it: what each member alone predicts
MANIFEST_FILE = "manifest.json"
RETRAIN = "retrain with: cva train"
# What of a manifest turns texts into numbers, left out where None.
OF_TEXTS: Mapping[str, type[TextProjection] | type[RatingHead]] = {
    "text_projection": TextProjection,
    "words_projection": TextProjection,
    "rating_head": RatingHead,
}


@dataclass(frozen=True)
class Feature:
    """A named input: `number` (float32, NaN for NULL) or `category` (string, '' for NULL).

    `values` are the texts of a category that the model tells apart, all others are one to it; empty
    in models from before they were written down. `low` and `high` are the least and largest number
    learned from, None where that is not known. While nothing happens, a number stays, `grows` by up
    to 1 a day, or `fades` towards 0: `by_itself`.
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    by_itself: str = ""


@dataclass(frozen=True)
class Explanation:
    """What predictions are explained against, and how.

    `reference` is the shop's typical customer: a feature's number, text ('' for NULL) or None for
    NULL; an input without an entry keeps the row's own value and explains nothing. `families` maps
    the same features to their reason family. `link` says where features are added up: `log` of
    predicted_value, or `identity`. `money_rule` names how shares in link space become money: see
    `shapley.share_out`.
    """

    reference: dict[str, float | str | None]
    families: dict[str, str]
    link: str
    money_rule: str

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Explanation:
        """The explanation of a manifest's JSON, without what older ones say besides."""
        return Explanation(**{field.name: raw[field.name] for field in fields(Explanation)})


@dataclass(frozen=True)
class MembersFile:
    """What is said of MEMBERS_FILE, whose outputs are logs of what each member alone predicts.

    `weights` are the members' in the geometric mean and add up to 1. predicted_value is that mean,
    at most exp(log_highest).
    """

    sha256: str
    weights: dict[str, float]
    log_highest: float

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> MembersFile:
        """That of a manifest's JSON, without what other versions say besides."""
        return MembersFile(**{field.name: raw[field.name] for field in fields(MembersFile)})


@dataclass(frozen=True)
class Manifest:
    """What is frozen with a model.

    `name` is its kind. `horizon_days` is None for a rule that takes it as an input. `training`
    holds dates, settings and shop statistics; `evaluation` the figures the model was deployed on.
    `text_projection` is None where the model was trained without review text, `words_projection`
    where it does not read the family `words`; `rating_head` says what reviews without a rating
    would have been rated, None where all have one or too few. `outputs` are the numbers that come
    back for a row; manifests that do not name them are the value model's. `members` is None for a
    model without such a file beside it.
    """

    name: str
    version: str
    sha256: str
    features: tuple[Feature, ...]
    horizon_days: int | None
    is_baseline: bool
    opset: int
    training: dict[str, Any]
    evaluation: dict[str, Any]
    text_projection: TextProjection | None = None
    explanation: Explanation | None = None
    outputs: tuple[str, ...] = OUTPUTS
    members: MembersFile | None = None
    words_projection: TextProjection | None = None
    rating_head: RatingHead | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that the model's folder has by this manifest."""
        return (MODEL_FILE, MANIFEST_FILE, *((MEMBERS_FILE,) if self.members else ()))

    @property
    def target(self) -> str:
        """What is predicted, as `cva_target` names it; spend where the manifest names nothing."""
        return str(self.training.get("target", "spend"))

    @property
    def is_judged(self) -> bool:
        """Whether it was held against what came after a date that it had not seen."""
        return bool(self.evaluation.get("validation_dates"))

    @property
    def order_stages(self) -> int:
        """How regularly the shop's customers buy: stages between orders, 1 for a Poisson stream."""
        dropout = (self.training.get("lifetimes") or {}).get("dropout") or {}
        stages = dropout.get("stages", 1) if isinstance(dropout, dict) else 1
        return stages if type(stages) is int and stages >= 1 else 1

    @property
    def trained_until(self) -> date | None:
        """The date before which it learned, None for a rule."""
        added = self.training.get("added")
        facts = added if isinstance(added, dict) else self.training
        known = facts.get("trained_until") or facts.get("as_of")
        return date.fromisoformat(known) if isinstance(known, str) else None

    def to_json(self) -> str:
        """The manifest as the text of `manifest.json`."""
        bare: dict[str, Any] = dict.fromkeys(OF_TEXTS)
        raw = asdict(replace(self, **bare))
        raw["features"] = [
            {name: value for name, value in feature.items() if value not in (None, "", ())}
            for feature in raw["features"]
        ]
        for name in OF_TEXTS:
            del raw[name]
            if (found := getattr(self, name)) is not None:
                raw[name] = found.to_dict()
        if self.members is None:
            del raw["members"]
        return json.dumps(plain(raw), indent=2, sort_keys=True, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """NaN and infinity are not JSON: null stands for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def read_manifest_text(folder: Path) -> str:
    """The text of a model folder's manifest; raises ModelError where it cannot be read."""
    return read_text_file(folder / MANIFEST_FILE, "a manifest", RETRAIN)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a model folder; raises ModelError where it is missing or unreadable."""
    text = read_manifest_text(folder)
    try:
        return parse_manifest(text)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f"{folder / MANIFEST_FILE} is not a manifest ({reason}); {RETRAIN}"
        ) from None


@lru_cache(maxsize=16)
def parse_manifest(text: str) -> Manifest:
    """The manifest in a text; raises ValueError, TypeError or KeyError where it is none."""
    raw = parse_object(text)
    check_manifest(raw)
    raw["features"] = tuple(
        Feature(**{**feature, "values": tuple(feature.get("values", ()))})
        for feature in raw["features"]
    )
    for name, kind in OF_TEXTS.items():
        if raw.get(name) is not None:
            raw[name] = kind.from_dict(raw[name])
    if raw.get("explanation") is not None:
        raw["explanation"] = Explanation.from_dict(raw["explanation"])
    if raw.get("members") is not None:
        raw["members"] = MembersFile.from_dict(raw["members"])
    raw["training"] = without_ids(raw["training"])
    return Manifest(**{**raw, "outputs": tuple(raw.get("outputs", OUTPUTS))})


def without_ids(training: dict[str, Any]) -> dict[str, Any]:
    """The facts of a training without the customers that manifests of before named."""
    named = training.get("outliers")
    if not isinstance(named, list):
        return training
    spend = [float(outlier["spend"]) for outlier in named]
    return {**training, "outliers": {"count": len(spend), "spend": spend}}


def check_place(folder: Path, manifest: Manifest) -> None:
    """Raises ModelError where a manifest is of another model than its folder's names say."""
    expected = (folder.parent.name, folder.name)
    # A rule may be put in the value model's place: it has the same inputs and outputs.
    kind = "value" if manifest.name == "baseline" else manifest.name
    if (kind, manifest.version) != expected:
        raise ModelError(
            f"{folder / MANIFEST_FILE} is of {manifest.name} {manifest.version}, expected "
            f"{' '.join(expected)}; {RETRAIN}"
        )


def read_model(folder: Path, manifest: Manifest) -> bytes:
    """The bytes of the model file; raises ModelError where they are not the manifest's."""
    return read_checked(folder / MODEL_FILE, manifest.sha256, RETRAIN)


def inputs_from_columns(
    manifest: Manifest, columns: Mapping[str, Any], rows: int
) -> dict[str, NDArray[Any]]:
    """The model's inputs, each of shape (rows, 1), from Arrow columns by name.

    Raises ModelError that names the first feature that is missing or of the wrong type; columns the
    model does not know are ignored, `horizon_days` is checked where the model is made for one.
    """
    _check_horizon(manifest, columns)
    inputs: dict[str, NDArray[Any]] = {}
    for feature in manifest.features:
        column = columns.get(feature.name)
        if column is None:
            raise ModelError(
                f"feature `{feature.name}` is missing; model {manifest.version} was made with it. "
                "Bring it back, or retrain with: cva train"
            )
        convert = _category if feature.kind == "category" else _number
        inputs[feature.name] = convert(feature.name, column).reshape(rows, 1)
    return inputs


def _check_horizon(manifest: Manifest, columns: Mapping[str, Any]) -> None:
    import pyarrow.compute as pc

    if manifest.horizon_days is None or "horizon_days" not in columns:
        return
    for value in pc.unique(columns["horizon_days"]).to_pylist():
        if value is not None and int(value) != manifest.horizon_days:
            raise ModelError(
                f"horizon_days is {int(value)}; the deployed model was trained for "
                f"{manifest.horizon_days}. Retrain with: cva train --horizon-days {int(value)}"
            )


def _number(name: str, column: Any) -> NDArray[np.float32]:
    import pyarrow as pa

    kind = column.type
    if not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    ):
        raise ModelError(f"feature `{name}` is {kind}; expected a number")
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float32)


def _category(name: str, column: Any) -> NDArray[Any]:
    import pyarrow as pa

    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise ModelError(f"feature `{name}` is {kind}; expected text")
    values = column.cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=object)
