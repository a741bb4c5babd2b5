"""Makes the text encoder anew and says how near it is to the original."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.udfs.errors import UsageError
from cva_sql.udfs.windows import CUT, WINDOWS

if TYPE_CHECKING:
    from cva_sql.models_onnx.encoder.export import ExportedEncoder

PARITY_TEXTS, ENGINE_TEXTS = 300, 30  # the multilingual package reads few texts a second
FITTED_TEXTS = 700  # of the sample shop, for the fast tier where no others are given
FEWEST_TEXTS = 100  # to fit on
ENCODER = "encoder"  # what it is called beside the kinds


class Tier(StrEnum):
    """Which encoder: one of the packaged ones, or the one that reads many languages."""

    exact = "exact"
    fast = "fast"
    multilingual = "multilingual"


class LongTexts(StrEnum):
    """What becomes of a text that is longer than the encoder reads at once."""

    cut = CUT
    windows = WINDOWS


def export_encoder(
    out: Path,
    tier: Tier | None,
    long_texts: LongTexts | None,
    texts: Path | None,
    source: Path | None,
    as_json: bool,
) -> None:
    """Writes the encoder of a tier, or where none is asked for the packaged file read otherwise.

    `texts` has a text a line, for the fast tier to be fitted on. `source` is a model of the user's.
    """
    from cva_sql.cli.export_model.writing import write_export

    if texts is not None and tier is not Tier.fast:
        raise UsageError("--texts is for the fast tier; expected: --tier fast --texts FILE")
    if source is not None:
        if tier is not None:
            raise UsageError(f"--from does not go with --tier {tier}; expected one of them")
        exported = _own(source)
    elif tier is None and long_texts:
        exported = _packaged()
    else:
        exported = _made(tier or Tier.exact, texts)
    if long_texts:
        exported = exported.reading(long_texts.value)
    write_export(out, exported.files)
    manifest = exported.manifest
    if as_json:
        print(json.dumps({"out": str(out), "key": manifest.key, **json.loads(manifest.to_json())}))
        return
    size = sum(len(data) for data in exported.files.values()) / 1e6
    print(f"encoder {manifest.key} ({size:.1f} MB) written to {out}")
    for name, value in manifest.parity.items():
        print(f"  {name}: {value:.6g}")


def _packaged() -> ExportedEncoder:
    """The files that cva comes with, as an export would be."""
    from cva_sql.models_onnx.encoder.export import ExportedEncoder
    from cva_sql.udfs.encoder import MODEL_FILE, TOKENIZER_FILE, packaged_manifest
    from cva_sql.udfs.encoder_tiers import packaged_folder

    model, tokenizer = (packaged_folder() / name for name in (MODEL_FILE, TOKENIZER_FILE))
    return ExportedEncoder.of(model.read_bytes(), tokenizer.read_bytes(), packaged_manifest())


def _own(source: Path) -> ExportedEncoder:
    """That of a folder with a model of the user's own."""
    from cva_sql.cli.demo.sample_shop import sample_reviews
    from cva_sql.cli.shop.progress import say, step
    from cva_sql.models_onnx.encoder.own import export_own

    with step("exporting the encoder"):
        return export_own(source, sample_reviews(PARITY_TEXTS), lambda text: say(f"  {text}"))


def _made(tier: Tier, texts: Path | None) -> ExportedEncoder:
    """A tier made anew from its weights, and checked."""
    from cva_sql.cli.demo.sample_shop import sample_reviews
    from cva_sql.cli.shop.progress import say, step

    def report(text: str) -> None:
        say(f"  {text}")

    if tier is Tier.multilingual:
        from cva_sql.models_onnx.encoder.export_multilingual import export_multilingual

        with step("exporting the encoder"):
            return export_multilingual(sample_reviews(ENGINE_TEXTS), report)
    from cva_sql.models_onnx.encoder.export import export_encoder as export

    fitted_on = None
    if tier is Tier.fast:
        fitted_on = _lines(texts) if texts else sample_reviews(FITTED_TEXTS)
    with step("exporting the encoder"):
        return export(sample_reviews(PARITY_TEXTS), report, fitted_on)


def _lines(file: Path) -> list[str]:
    """The texts of a file; raises UsageError for too few to fit on."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--texts {file} cannot be read: {error}") from None
    found = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if len(found) < FEWEST_TEXTS:
        raise UsageError(
            f"--texts {file} has {len(found)} different texts; expected {FEWEST_TEXTS} or more, "
            "one a line"
        )
    return found
