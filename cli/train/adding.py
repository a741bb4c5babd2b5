"""Adds a value model made elsewhere: judged on dates it has not seen, written, kept, deployed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.shop.history import Entry, recording
from cva_sql.cli.shop.owner import Owned
from cva_sql.cli.shop.yaml_text import parse_yaml
from cva_sql.cli.train.added import (
    GIVEN_FILE,
    Added,
    added_models,
    check_added,
    refuse_other_target,
)
from cva_sql.cli.train.terms import known_features, read_terms
from cva_sql.udfs.errors import UsageError
from cva_sql.udfs.manifest import MODEL_FILE, Manifest
from cva_sql.udfs.model_files import is_plain_name

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.cli.train.examples import TrainingSet
    from cva_sql.models_onnx.value.added.given import Given, Mapped
    from cva_sql.models_onnx.value.added.model import Judged
    from cva_sql.models_onnx.value.model.parity import Parity

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
ROUNDING = 1e-5  # relative: another's matrix product may round by where a row lies in it


@dataclass(frozen=True)
class Request:
    """What `cva models add` is asked for; `inputs` is a yml file."""

    file: Path
    name: str
    trained_until: date
    inputs: Path | None = None
    output: str | None = None
    replace: bool = False
    deploy: bool = False


@dataclass(frozen=True)
class Found:
    """What adding a model found; `replaced` is the version before it, which stays in the folder."""

    version: str
    is_deployed: bool
    verdict: str
    scores: dict[str, dict[str, float]]
    dates: tuple[str, ...]
    left_out: tuple[str, ...]
    parity: float
    as_of: str
    examples: int
    replaced: str | None = None


@recording(
    "models add",
    lambda found: Entry(found.as_of, found.examples, None, found.version),
    Owned.MODELS,
)
def add_model(shop: ResolvedShop, request: Request) -> Found:
    """Judges a file on dates that it has not seen and keeps it beside the other models.

    Raises UsageError, in one line and with nothing changed, for a name that is taken, a file that
    cannot be used, and where there is no date to judge it on.
    """
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.train.examples import TRAIN_SCHEMA, read_history, read_training_set
    from cva_sql.models_onnx.value.added.given import read_given

    refuse_other_target(shop)
    former = _former(shop, request)
    is_to_score = request.deploy or _scores(shop, former)
    mapped = _mapping(request.inputs)
    given = read_given(_bytes_of(request.file), known_features(shop), mapped, request.output)
    if is_to_score:
        check_added(request.name, given.features, read_terms(shop))
    with step("looking at the history"):
        history = read_history(shop, TRAIN_SCHEMA)
    found = read_training_set(shop, history, shop.horizon_days)
    if found is None:
        raise UsageError(
            f"the history ({history.first_order or 'no valid order'} .. {history.as_of}) is too "
            "short to judge a model"
        )
    return keep_added(
        shop,
        found,
        request.name,
        given,
        request.trained_until,
        is_to_score=is_to_score,
        former=former,
    )


def keep_added(
    shop: ResolvedShop,
    found: TrainingSet,
    name: str,
    given: Given,
    trained_until: date,
    *,
    is_to_score: bool,
    former: Added | None = None,
) -> Found:
    """Fits what the file does not say, writes and checks the model, and lets it score if wished."""
    from cva_sql.cli.shop.model_store import deploy, note_deployed, store_model

    data, manifest, judged, parity = _written(shop, found, name, given, trained_until)
    stored = store_model(shop.models_dir, data, manifest, {GIVEN_FILE: given.onnx})
    if is_to_score:
        deploy(shop.models_dir, stored.name)
    note_deployed(shop, "models add")
    return Found(
        stored.name,
        is_to_score,
        judged.verdict,
        judged.scores,
        tuple(day.isoformat() for day in judged.dates),
        tuple(day.isoformat() for day in judged.left_out),
        parity.worst,
        found.plan.as_of.isoformat(),
        len(found.data),
        former.version if former else None,
    )


def _written(
    shop: ResolvedShop, found: TrainingSet, name: str, given: Given, trained_until: date
) -> tuple[bytes, Manifest, Judged, Parity]:
    """The model's file with its manifest, how it was judged, how near the file is to the model."""
    from cva_sql.cli.shop.progress import step
    from cva_sql.models_onnx.value.added.graph import build_added
    from cva_sql.models_onnx.value.added.manifest import build_added_manifest
    from cva_sql.models_onnx.value.added.model import fit_added
    from cva_sql.models_onnx.value.model.parity import check_parity
    from cva_sql.models_onnx.value.training.distributions import with_distributions

    plan, now = found.plan, found.data.seen_from(found.plan.as_of)
    with step(f"judging {name}"):
        model, judged, _ = fit_added(name, given, found.data, plan, trained_until)
        data = build_added(model)
        manifest = build_added_manifest(
            model,
            data,
            plan,
            judged,
            now,
            trained_until=trained_until,
            added_at=datetime.now(UTC),
            first_order=found.first_order,
            database=shop.db.name,
        )
        parity = check_parity(model, data, manifest, now, ROUNDING)
        return data, with_distributions(manifest, data, found.data, plan), judged, parity


def _former(shop: ResolvedShop, request: Request) -> Added | None:
    """The model of this name so far; raises UsageError where the name cannot be taken."""
    from cva_sql.models_onnx.value.backtesting.backtest import MODEL, names_of_kinds
    from cva_sql.models_onnx.value.backtesting.benchmarks import BENCHMARKS
    from cva_sql.models_onnx.value.members.registry import (
        all_members,
        candidates,
        network_names,
    )
    from cva_sql.models_onnx.value.training.validation import RULE

    name = request.name
    taken = {
        *candidates(network_names()),
        *names_of_kinds().values(),
        *BENCHMARKS,
        MODEL,
        RULE,
        "rule",
        "encoder",
    }
    taken |= {member.name for member in all_members()}
    if not (NAME.fullmatch(name) and is_plain_name(name)) or name in taken:
        raise UsageError(
            f"--name {name[:60]}: expected a name of a-z, 0-9 and _, up to 40, that is none of "
            f"{', '.join(sorted(taken))}"
        )
    former = added_models(shop.models_dir).get(name)
    if former is not None and not request.replace:
        raise UsageError(
            f"there is a model {name} already, {former.version}; take another --name, or put this "
            "one in its place with --replace"
        )
    return former


def _scores(shop: ResolvedShop, former: Added | None) -> bool:
    """Whether the model that is replaced is the one that scores."""
    from cva_sql.cli.shop.model_store import deployed_version

    return former is not None and deployed_version(shop.models_dir) == former.version


def _mapping(file: Path | None) -> Mapped:
    """What --inputs says: features in order, or input -> feature; raises UsageError."""
    if file is None:
        return None
    try:
        found = parse_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--inputs {file} cannot be read: {error}") from None
    parts = [*found.keys(), *found.values()] if isinstance(found, dict) else found
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise UsageError(
            f"--inputs {file}: expected a list of features in order, or input: feature, a line each"
        )
    return found  # type: ignore[no-any-return]


def _bytes_of(file: Path) -> bytes:
    """The bytes of an ONNX file; raises UsageError where it is none that stands by itself."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    try:
        model = onnx.load_from_string(data)
    except (DecodeError, ValueError):
        raise UsageError(f"{file} is no ONNX file; expected {MODEL_FILE} or the like") from None
    if any(tensor.external_data for tensor in model.graph.initializer):
        raise UsageError(f"{file} has its weights in another file; save it with them inside")
    return data
