"""Does teaching the encoder pay? Methods and objectives on real reviews, a cell at a time.

    .venv-encoder/bin/python benchmarks/finetune.py DATA [--steps 150] [--minutes 9] [--only gift]
    .venv-encoder/bin/python benchmarks/finetune.py DATA --print

DATA is the folder with `reviews/Gift_Cards_5.json.gz` and `reviews/womens_clothing_1000.csv`. Each
finished cell is a line of build/finetune.jsonl, and is not computed again: a run that was stopped
goes on. A cell is a data set, a method, an objective and a seed. Gift cards are judged on the later
third of the reviews, the clothing reviews, which have no dates, on a fifth of the texts.

Beside the taught encoders stand the packaged one without labels, with a head, and TF-IDF of words
and pairs with the same head. Figures: AUC of ratings of 4 and 5 against 1 and 2, and the mean error
of the rating by a ridge regression.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import duckdb
import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.export import tokenizer_json
from cva_sql.models_onnx.encoder.finetune.corpus import Corpus
from cva_sql.models_onnx.encoder.finetune.exporting import export_tuned
from cva_sql.models_onnx.encoder.finetune.gate import AUC, Judged, judge
from cva_sql.models_onnx.encoder.finetune.learning import fine_tune
from cva_sql.models_onnx.encoder.finetune.recipe import METHODS, RATING, make_recipe
from cva_sql.models_onnx.encoder.weights import load_source
from cva_sql.models_onnx.value.judging.metrics import auc
from cva_sql.udfs.encoder import Encoder, encoder_folder, load_encoder, read_encoder_manifest

RESULTS = Path("build/finetune.jsonl")
OBJECTIVES = ("contrastive", "mlm", "rating", "contrastive=1,rating=0.5")
PARITY_TEXTS = 100
SETS = {
    "gift": (
        "select reviewText as body, reviewerID as customer, cast(overall as double) as rating, "
        "unixReviewTime as day from read_json('{}/reviews/Gift_Cards_5.json.gz') "
        "where reviewText is not null"
    ),
    "clothing": (
        "select \"Review Text\" as body, 'c' || row_number() over () as customer, "
        "cast(Rating as double) as rating, 0 as day "
        "from '{}/reviews/womens_clothing_1000.csv' where \"Review Text\" is not null"
    ),
}


@dataclass(frozen=True)
class Data:
    """Distinct texts with their mean rating; what is later is judged."""

    name: str
    corpus: Corpus
    judged: Judged
    bodies: list[str]


def read_data(folder: Path, name: str) -> Data:
    query = SETS[name].format(folder)
    with duckdb.connect() as con:
        rows = con.execute(
            "select body, min(customer), avg(rating), min(day) from "
            f"({query}) group by body order by md5(body)"
        ).fetchall()
    bodies, customers, ratings, days = (list(column) for column in zip(*rows, strict=True))
    if len(set(days)) > 1:
        is_later = np.array(days) >= np.quantile(days, 2 / 3)
    else:
        is_later = np.array([zlib.crc32(body.encode()) % 5 == 0 for body in bodies])
    nothing = np.full(len(rows), np.nan)
    scores = np.array(ratings, dtype=np.float64)
    whole = Corpus(tuple(bodies), tuple(customers), scores, nothing)
    seen = {c for c, later in zip(customers, is_later, strict=True) if not later}
    unseen = np.array([c not in seen for c in customers])
    judged = Judged(tuple(customers), scores, nothing, is_later, unseen)
    return Data(name, whole.select(~is_later), judged, bodies)


def read(encoder: Encoder, bodies: list[str]) -> NDArray[np.float32]:
    empty = np.zeros(encoder.manifest.dimension, dtype=np.float32)
    found = encoder.read_all(bodies)
    return np.array([empty if one.embedding is None else one.embedding for one in found])


def rating_error(data: Data, vectors: Any) -> float:
    """The mean error of a ridge regression on earlier texts, of later ones."""
    from sklearn.linear_model import RidgeCV

    later, ratings = data.judged.is_later, data.judged.ratings
    head = RidgeCV(alphas=np.logspace(-3, 4, 15)).fit(vectors[~later], ratings[~later])
    told = np.clip(head.predict(vectors[later]), 1.0, 5.0)
    return float(np.abs(told - ratings[later]).mean())


def reference(data: Data, before: NDArray[np.float32], packaged: Encoder) -> dict[str, Any]:
    """No labels at all, and TF-IDF with a head."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    later, ratings = data.judged.is_later, data.judged.ratings
    known = (ratings >= 4) | (ratings <= 2)
    labels = (ratings >= 4).astype(float)
    read_as = [packaged.read(body).sentiment for body in data.bodies]
    sentiment = np.array([one or 0.0 for one in read_as]) + 1.0
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    words.fit([body for body, is_late in zip(data.bodies, later, strict=True) if not is_late])
    table = words.transform(data.bodies)
    head = LogisticRegression(C=10.0, max_iter=1000).fit(
        table[known & ~later], labels[known & ~later]
    )
    told = head.predict_proba(table[known & later])[:, 1]
    return {
        "no labels": auc(labels[known & later], sentiment[known & later]),
        "TF-IDF + head": auc(labels[known & later], told),
        "frozen MAE": rating_error(data, before),
        "texts": int((known & later).sum()),
        "negatives": int((known & later & (labels == 0)).sum()),
    }


def cells(steps: int, seeds: int) -> Iterator[tuple[str, str, int]]:
    """Methods on the default objective, the default method on the others, and more seeds of it."""
    for method in METHODS:
        yield method, OBJECTIVES[0], 7
    for objective in OBJECTIVES[1:]:
        yield METHODS[0], objective, 7
    for seed in range(8, 7 + seeds):
        yield METHODS[0], OBJECTIVES[0], seed


def run_cell(
    data: Data, before: NDArray[np.float32], cell: tuple[str, str, int], steps: int, minutes: float
) -> dict[str, Any]:
    method, objective, seed = cell
    source = load_source()
    recipe = make_recipe(method, objective, steps, {"seed": seed})
    corpus = data.corpus.useful_for(recipe)
    started = time.monotonic()
    learned = fine_tune(
        source.folder,
        tokenizer_json(source.folder),
        corpus,
        recipe,
        minutes=minutes,
        saved=None,
        save=lambda _: None,
        report=lambda text: print(f"  {text}", flush=True),
    )
    exported = export_tuned(
        source, learned.model, recipe, "", list(corpus.texts[:PARITY_TEXTS]), lambda _: None
    )
    files = exported.files
    taught = Encoder(exported.manifest, files["model.onnx"], files["tokenizer.json"])
    after = read(taught, data.bodies)
    verdict = judge(data.judged, before, after, make_recipe(None, RATING, None, {}))
    figure = next(one for one in verdict.figures if one.name == AUC)
    return {
        "set": data.name,
        "method": method,
        "objective": objective,
        "seed": seed,
        "asked": steps,
        "steps": learned.steps,
        "frozen + head": figure.before,
        "taught + head": figure.after,
        "gain": figure.difference,
        "lower": figure.lower,
        "upper": figure.upper,
        "unseen": figure.is_unseen,
        "taught MAE": rating_error(data, after),
        "parameters": learned.parameters,
        "minutes": learned.seconds / 60,
        "whole minutes": (time.monotonic() - started) / 60,
        "gigabytes": (learned.peak_bytes or 0) / 1e9,
    }


def finished() -> list[dict[str, Any]]:
    if not RESULTS.is_file():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def keep(result: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")


def show(results: list[dict[str, Any]]) -> None:
    for one in results:
        if "no labels" in one:
            print(
                f"\n{one['set']}: {one['texts']} texts judged, {one['negatives']} negative; AUC "
                f"without labels {one['no labels']:.3f}, TF-IDF + head {one['TF-IDF + head']:.3f}; "
                f"MAE frozen {one['frozen MAE']:.3f}"
            )
    print(
        f"\n{'set':9}{'method':9}{'objective':26}{'seed':>4}{'steps':>6}{'frozen':>8}{'taught':>8}"
        f"{'difference and interval':>28}{'MAE':>7}{'learn':>12}{'min':>6}{'GB':>5}"
    )
    for one in results:
        if "taught + head" in one:
            gain = f"{one['gain']:+.4f} {one['lower']:+.4f} .. {one['upper']:+.4f}"
            print(
                f"{one['set']:9}{one['method']:9}{one['objective']:26}{one['seed']:4}"
                f"{one['steps']:6}{one['frozen + head']:8.3f}{one['taught + head']:8.3f}{gain:>28}"
                f"{one['taught MAE']:7.3f}{one['parameters']:12,}{one['minutes']:6.1f}"
                f"{one['gigabytes']:5.1f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--minutes", type=float, default=30.0, help="of a cell at most")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=list(SETS))
    parser.add_argument("--method", choices=METHODS, help="this alone")
    parser.add_argument("--objective", choices=OBJECTIVES, help="this alone")
    parser.add_argument("--cells", type=int, help="stop after so many new cells")
    parser.add_argument("--print", action="store_true", help="show what there is, compute nothing")
    arguments = parser.parse_args()
    folder = encoder_folder(Path("nowhere"))
    packaged = load_encoder(folder, read_encoder_manifest(folder).key)
    new = 0
    for name in [] if arguments.print else [arguments.only] if arguments.only else list(SETS):
        data = read_data(arguments.data, name)
        before = read(packaged, data.bodies)
        done = finished()
        if not any("no labels" in one and one["set"] == name for one in done):
            keep({"set": name, **reference(data, before, packaged)})
        known = {
            (one["set"], one["method"], one["objective"], one["seed"], one["asked"])
            for one in done
            if "method" in one
        }
        for cell in cells(arguments.steps, arguments.seeds):
            if (name, *cell, arguments.steps) in known or new == arguments.cells:
                continue
            if arguments.method not in (None, cell[0]) or arguments.objective not in (
                None,
                cell[1],
            ):
                continue
            print(f"{name}: {', '.join(map(str, cell))}", flush=True)
            keep(run_cell(data, before, cell, arguments.steps, arguments.minutes))
            new += 1
    show(finished())


if __name__ == "__main__":
    main()
