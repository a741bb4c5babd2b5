"""Teaches the encoder on the shop's texts, and lets it read where it won forward in time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.finetune.settings import Request, read_params
from cva_sql.cli.shop.files import write_atomic, written_to
from cva_sql.cli.shop.history import Entry, recording
from cva_sql.cli.shop.owner import Owned
from cva_sql.cli.shop.progress import say, step
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from cva_sql.cli.finetune.texts import ShopTexts
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.models_onnx.encoder.export import ExportedEncoder
    from cva_sql.models_onnx.encoder.finetune.gate import Verdict
    from cva_sql.models_onnx.encoder.finetune.learning import Learned
    from cva_sql.models_onnx.encoder.finetune.recipe import Recipe
    from cva_sql.models_onnx.encoder.weights import Source
    from cva_sql.models_onnx.value.data.cutoffs import Plan
    from cva_sql.udfs.encoder import Encoder

CHECKPOINT = ("finetune", "checkpoint.pt")  # in the shop's work folder
PARITY_TEXTS = 300


@dataclass(frozen=True)
class Tuned:
    """What was taught, and what became of it.

    `texts` were taught on, all of them of before `trained_before`. `is_whole`: all steps were made;
    else the minutes were over. `figures` compare it with `former`, the encoder that read until
    then. `texts_to_read` have to be read anew, once, where it is deployed.
    """

    key: str
    folder: str
    method: str
    objectives: dict[str, float]
    steps: int
    is_whole: bool
    seconds: float
    trained_parameters: int
    peak_bytes: int | None
    device: str
    texts: int
    trained_before: str
    as_of: str
    former: str
    is_deployed: bool
    reason: str
    figures: tuple[dict[str, Any], ...]
    losses: dict[str, float]
    texts_to_read: int

    def to_dict(self) -> dict[str, Any]:
        """As it is printed for programs."""
        return asdict(self)


@dataclass(frozen=True)
class Taught:
    """An encoder with what it was made from and what it was judged by."""

    plan: Plan
    recipe: Recipe
    texts: ShopTexts
    learned: Learned
    exported: ExportedEncoder
    verdict: Verdict

    @property
    def key(self) -> str:
        """The encoder's key."""
        return self.exported.manifest.key

    def said(self, former: str) -> bytes:
        """The file beside its manifest: how it was taught, and how it did against the former."""
        facts = {
            **self.recipe.to_dict(),
            "steps_made": self.learned.steps,
            "trained_before": self.exported.manifest.trained_before,
            "compared_with": former,
            "verdict": self.verdict.reason,
            "figures": [asdict(figure) for figure in self.verdict.figures],
        }
        return (json.dumps(facts, indent=2) + "\n").encode()


@recording("finetune", lambda found: Entry(found.as_of, found.texts, None, found.key), Owned.MODELS)
def finetune_shop(shop: ResolvedShop, request: Request) -> Tuned:
    """Teaches an encoder, keeps it as a candidate, and deploys it where it won.

    Raises UsageError for what cannot be asked, CvaError where the shop has too little or what it
    needs is not installed.
    """
    from cva_sql.cli.finetune.texts import require_reviews
    from cva_sql.cli.train.tensorboard import check_tensorboard
    from cva_sql.models_onnx.encoder.finetune.methods import require_extra
    from cva_sql.models_onnx.encoder.weights import load_source
    from cva_sql.udfs.encoder import ShopEncoder

    require_reviews(shop)
    if request.resume:
        request.refuse_beside_resume()
    minutes = _minutes(request)
    saved = _saved(shop, is_asked=request.resume)
    recipe = None if request.resume else _recipe(request)
    require_extra()
    recipe = recipe or _recipe_of(saved)
    check_tensorboard(request.tensorboard)
    source = load_source()
    encoder = ShopEncoder(shop.models_dir, shop.encoder_tier).load()
    plan, texts = _read(shop, recipe, encoder)
    learned = _teach(shop, source, texts, recipe, minutes, saved)
    with step("exporting the encoder"):
        exported = _export(source, learned, recipe, texts).reading(encoder.manifest.long_texts)
    with step("judging it on later texts"):
        verdict = _judge(texts, encoder, exported, recipe)
    return _settle(shop, request, Taught(plan, recipe, texts, learned, exported, verdict))


def _read(shop: ResolvedShop, recipe: Recipe, encoder: Encoder) -> tuple[Plan, ShopTexts]:
    """The dates that training learns from, and the texts by them."""
    from cva_sql.cli.finetune.texts import SCHEMA, read_shop_texts
    from cva_sql.cli.train.examples import dropped_after, read_history

    with dropped_after(shop, SCHEMA):
        with step("looking at the history"):
            history = read_history(shop, SCHEMA)
        plan = history.plan(history.as_of, shop.horizon_days)
        if plan is None:
            raise CvaError(history.too_short(shop.horizon_days))
        with step("finding the texts"):
            return plan, read_shop_texts(shop, plan, recipe, encoder)


def _minutes(request: Request) -> float:
    from cva_sql.models_onnx.encoder.finetune.recipe import USUAL_MINUTES

    minutes = USUAL_MINUTES if request.minutes is None else request.minutes
    if not 0 < minutes < float("inf"):
        raise UsageError(f"--minutes {minutes:g}: expected minutes above 0, e.g. --minutes 30")
    return minutes


def checkpoint_file(shop: ResolvedShop) -> Path:
    """Where a training that was killed goes on from."""
    return shop.work_dir.joinpath(*CHECKPOINT)


def _recipe(request: Request) -> Recipe:
    from cva_sql.models_onnx.encoder.finetune.recipe import make_recipe

    given = read_params(request.params)
    return make_recipe(request.method, request.objective, request.steps, given)


def _saved(shop: ResolvedShop, *, is_asked: bool) -> bytes | None:
    """The checkpoint to go on from; that there is one is said where nobody asks for it."""
    file = checkpoint_file(shop)
    there = file.is_file() and not file.is_symlink()
    if is_asked:
        if not there:
            raise UsageError(
                f"--resume: no fine-tuning was left unfinished ({file} is not there); begin one "
                f"with: {shop.command('finetune')}"
            )
        return file.read_bytes()
    if there:
        say(f"a fine-tuning that was left unfinished is given up ({file})")
    return None


def _recipe_of(saved: bytes | None) -> Recipe:
    from cva_sql.models_onnx.encoder.finetune.checkpoint import read_checkpoint
    from cva_sql.models_onnx.encoder.finetune.recipe import recipe_of

    return recipe_of(read_checkpoint(saved)["recipe"])


def _teach(
    shop: ResolvedShop,
    source: Source,
    texts: ShopTexts,
    recipe: Recipe,
    minutes: float,
    saved: bytes | None,
) -> Learned:
    """The training, with its checkpoints in the work folder."""
    from cva_sql.models_onnx.encoder.export import tokenizer_json
    from cva_sql.models_onnx.encoder.finetune.learning import fine_tune

    file = checkpoint_file(shop)

    def save(data: bytes) -> None:
        with written_to(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, data)

    what = f"{recipe.method} on {', '.join(recipe.objectives)}"
    with step(f"teaching on {len(texts.corpus):,} texts of before {texts.first_cutoff} ({what})"):
        return fine_tune(
            source.folder,
            tokenizer_json(source.folder),
            texts.corpus,
            recipe,
            minutes=minutes,
            saved=saved,
            save=save,
            report=lambda text: say(f"  {text}"),
        )


def _export(source: Source, learned: Learned, recipe: Recipe, texts: ShopTexts) -> ExportedEncoder:
    """Parity is measured on texts of the shop's own, which it may have been taught on."""
    from cva_sql.models_onnx.encoder.finetune.exporting import export_tuned

    return export_tuned(
        source,
        learned.model,
        recipe,
        texts.first_cutoff.isoformat(),
        list(dict.fromkeys(texts.corpus.texts))[:PARITY_TEXTS],
        lambda text: say(f"  {text}"),
    )


def _judge(texts: ShopTexts, former: Encoder, exported: ExportedEncoder, recipe: Recipe) -> Verdict:
    """Reads the gate's texts by both encoders, and compares."""
    from cva_sql.models_onnx.encoder.finetune.gate import judge
    from cva_sql.udfs.encoder import MODEL_FILE, TOKENIZER_FILE, Encoder

    files = exported.files
    taught = Encoder(exported.manifest, files[MODEL_FILE], files[TOKENIZER_FILE])
    before, after = (_vectors(encoder, texts.bodies) for encoder in (former, taught))
    return judge(texts.judged, before, after, recipe)


def _vectors(encoder: Encoder, bodies: Sequence[str]) -> Any:
    """The vectors, (texts, width); of an empty text zeros."""
    import numpy as np

    from cva_sql.udfs.projection import DIMENSION

    nothing = np.zeros(DIMENSION, dtype=np.float32)
    readings = encoder.read_all(bodies)
    return np.array([nothing if one.embedding is None else one.embedding for one in readings])


def _settle(shop: ResolvedShop, request: Request, taught: Taught) -> Tuned:
    """Keeps the candidate, deploys it where it is better, and writes what was found."""
    from cva_sql.cli.embed.texts import count_texts, shop_encoder
    from cva_sql.cli.finetune.runs import record_run, write_board
    from cva_sql.cli.finetune.store import put_in_place, store_candidate
    from cva_sql.models_onnx.encoder.finetune.exporting import RESULT_FILE

    key, verdict, learned = taught.key, taught.verdict, taught.learned
    former, count = shop_encoder(shop).key, count_texts(shop)
    is_deployed = verdict.is_better and request.deploy and key != former
    reason = f"encoder {key}: {verdict.reason}"
    if verdict.is_better and not request.deploy:
        reason += "; not deployed, as asked"
    files = {**taught.exported.files, RESULT_FILE: taught.said(former)}
    folder = store_candidate(shop.models_dir, key, files)
    if is_deployed:
        put_in_place(shop.models_dir, key, shop.encoder_tier)
    record_run(shop, taught, is_deployed=is_deployed, reason=reason)
    if request.tensorboard:
        write_board(request.tensorboard, f"encoder-{key}", learned.curve)
    if learned.is_whole:
        checkpoint_file(shop).unlink(missing_ok=True)
    return Tuned(
        key=key,
        folder=str(folder),
        method=taught.recipe.method,
        objectives=dict(taught.recipe.objectives),
        steps=learned.steps,
        is_whole=learned.is_whole,
        seconds=round(learned.seconds, 1),
        trained_parameters=learned.parameters,
        peak_bytes=learned.peak_bytes,
        device=learned.device,
        texts=len(taught.texts.corpus),
        trained_before=taught.exported.manifest.trained_before,
        as_of=taught.plan.as_of.isoformat(),
        former=former,
        is_deployed=is_deployed,
        reason=reason,
        figures=tuple(asdict(figure) for figure in verdict.figures),
        losses={p.objective: p.loss for p in learned.curve if p.is_held_out},
        texts_to_read=count if is_deployed else 0,
    )
