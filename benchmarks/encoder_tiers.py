"""How near each tier of the encoder is to single precision, and what that costs downstream.

    .venv-encoder/bin/python benchmarks/encoder_tiers.py Gift_Cards_5.json.gz \\
        --text reviewText --rating overall

Per tier: size, cosine to torch's vectors in single precision (mean, first percentile, worst), the
share of texts that keep their nearest neighbour, the cosine lost by the other one (its 99th
percentile), AUC of sentiment for ratings of 4 and 5 against 1 and 2, of all texts with such a
rating. And of optimum's int8 export per channel, the same without sentiment.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rating_head import read_rated
from sklearn.metrics import roc_auc_score

from cva_sql.models_onnx.encoder.export import optimum_vectors, tokenize, torch_vectors
from cva_sql.models_onnx.encoder.weights import load_source
from cva_sql.udfs.encoder import TOKENIZER_FILE, load_encoder, read_encoder_manifest
from cva_sql.udfs.encoder_tiers import TIERS, packaged_folder


def fidelity(found: NDArray[np.float32], exact: NDArray[np.float32]) -> str:
    """The figures of vectors beside those in single precision."""
    cosine = np.sum(found.astype(np.float64) * exact, axis=1)
    theirs, ours = exact @ exact.T, found @ found.T
    for likeness in (theirs, ours):
        np.fill_diagonal(likeness, -2)
    rows, nearest, other = np.arange(len(exact)), theirs.argmax(axis=1), ours.argmax(axis=1)
    regret = np.quantile(theirs[rows, nearest] - theirs[rows, other], 0.99)
    return (
        f"{cosine.mean():9.5f}{np.quantile(cosine, 0.01):9.4f}{cosine.min():9.4f}"
        f"{(nearest == other).mean():9.3f}{regret:9.4f}"
    )


def main() -> None:
    """Prints a line a tier."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--text", required=True)
    parser.add_argument("--rating", required=True)
    parser.add_argument("--texts", type=int, default=1_500)
    given = parser.parse_args()
    texts, ratings = read_rated(given.file, given.text, given.rating)
    some = np.random.default_rng(0).permutation(len(texts))[: given.texts]
    source = load_source()
    ids = tokenize(
        (packaged_folder() / TOKENIZER_FILE).read_bytes(), [texts[number] for number in some]
    )
    exact = torch_vectors(source.folder, ids)
    rated, known = ratings >= 4, (ratings >= 4) | (ratings <= 2)
    print(f"{len(some):,} texts; AUC on {known.sum():,}")
    print(f"{'':24}{'MB':>7}{'mean':>9}{'p1':>9}{'worst':>9}{'neighb.':>9}{'regret':>9}{'AUC':>9}")
    for tier in TIERS:
        folder = packaged_folder(tier)
        encoder = load_encoder(folder, read_encoder_manifest(folder).key)
        read = encoder.read_all(texts)
        vectors = np.array([read[number].embedding for number in some])
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        auc = roc_auc_score(rated[known], np.array([one.sentiment or 0.0 for one in read])[known])
        print(f"{tier:24}{size:7.1f}{fidelity(vectors, exact)}{auc:9.4f}")
    by_optimum = optimum_vectors(source.folder, ids)[1]
    print(f"{'optimum, per channel':24}{'':7}{fidelity(by_optimum, exact)}")


if __name__ == "__main__":
    main()
