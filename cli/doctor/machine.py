"""What `cva doctor` finds out without the database: versions, processor, encoder, value model."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.udfs.cores import cores
from cva_sql.udfs.encoder_tiers import EXACT, check_tier
from cva_sql.udfs.errors import ModelError, UsageError

if TYPE_CHECKING:
    from cva_sql.udfs.encoder import Encoder
    from cva_sql.udfs.manifest import Manifest

PARTS = {  # what is shown -> its distribution
    "cva": "cva-sql",
    "duckdb": "duckdb",
    "dbt-core": "dbt-core",
    "dbt-duckdb": "dbt-duckdb",
    "onnxruntime": "onnxruntime",
    "tokenizers": "tokenizers",
}
EXTENSIONS = {  # what is shown -> flags of /proc/cpuinfo, one of which says that it is there
    "AVX2": {"avx2"},
    "AVX512": {"avx512f"},
    "VNNI": {"avx512_vnni", "avx_vnni"},
    "AMX": {"amx_int8"},
}
PATHS = (
    "AMX",
    "VNNI",
    "AVX512",
    "AVX2",
)  # what onnxruntime takes for whole numbers, the best first
PROBE_SECONDS = 0.3
PROBE = (
    "I ordered number {} for my sister and she wears it every week. It came two days late, the box "
    "was damaged, but the colour is as in the picture and it fits her well. I would buy it again."
)
CPU_FILE = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Machine:
    """Versions (None: not installed) and processor; no `extensions` where none can be told."""

    versions: dict[str, str | None]
    cpu: str
    extensions: dict[str, bool]
    cores: int
    memory_bytes: int | None

    @property
    def integer_path(self) -> str | None:
        """The extension that the fast tier's products take here; None where none can be told."""
        return next((name for name in PATHS if self.extensions.get(name)), None)


@dataclass(frozen=True)
class EncoderState:
    """The encoder that reads texts; `problem` where it cannot be loaded as its manifest says.

    `texts_per_second`: new ones of some 45 tokens on one core, as a short probe finds it.
    """

    key: str | None
    folder: str
    is_own: bool
    problem: str | None = None
    texts_per_second: float | None = None


@dataclass(frozen=True)
class ValueState:
    """The model that scores; `rule_because` says why where it is the packaged rule.

    `trained_as_of` is that of the newest trained model, deployed or not. Without `gives_reasons`
    it was trained before models had a typical customer to be explained against.
    """

    version: str | None
    sha256: str | None
    is_rule: bool
    rule_because: str | None
    database: str | None
    as_of: str | None
    horizon_days: int | None
    trained_as_of: str | None
    problem: str | None = None
    gives_reasons: bool = True


def look_at_machine() -> Machine:
    """Versions, processor and memory of this machine."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name, distribution in PARTS.items():
        try:
            versions[name] = version(distribution)
        except PackageNotFoundError:
            versions[name] = None
    text = CPU_FILE.read_text(encoding="utf-8") if CPU_FILE.is_file() else ""
    cpu, extensions = read_cpu(text)
    try:
        memory: int | None = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        memory = None
    return Machine(versions, cpu, extensions, cores(), memory)


def read_cpu(text: str) -> tuple[str, dict[str, bool]]:
    """Name and vector extensions from the text of /proc/cpuinfo, the platform's name without it."""
    lines = [line.partition(":") for line in text.splitlines()]
    facts = {name.strip(): value.strip() for name, _, value in reversed(lines)}
    name = facts.get("model name") or platform.processor() or platform.machine()
    if "flags" not in facts:
        return name, {}
    flags = set(facts["flags"].split())
    return name, {extension: bool(flags & any_of) for extension, any_of in EXTENSIONS.items()}


def look_at_encoder(models_dir: Path, tier: object = EXACT) -> EncoderState:
    """Loads the encoder, which compares its files' hashes with its manifest, and times it."""
    from cva_sql.udfs.encoder import ShopEncoder

    try:
        encoder = ShopEncoder(models_dir, check_tier(tier))
    except UsageError as error:
        return EncoderState(None, str(models_dir), False, str(error))
    folder = encoder.folder
    is_own = folder.parent == models_dir
    try:
        speed = _texts_per_second(encoder.load())
    except ModelError as error:
        return EncoderState(None, str(folder), is_own, str(error))
    return EncoderState(encoder.manifest.key, str(folder), is_own, None, speed)


@lru_cache(maxsize=2)
def _texts_per_second(encoder: Encoder) -> float:
    """Reads for a moment, each text a new one."""
    encoder.read(PROBE.format(0))  # the first call takes longer
    started, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < PROBE_SECONDS:
        count += 1
        encoder.read(PROBE.format(count))
    return round(count / passed, 1)


def look_at_value_model(models_dir: Path, db: Path) -> ValueState:
    """Loads the model that scores, and looks at what was trained before."""
    from cva_sql.cli.models.inventory import value_models
    from cva_sql.udfs.manifest import read_manifest
    from cva_sql.udfs.members import check_files
    from cva_sql.udfs.sessions import deployed_folder, open_session

    trained = [model for model in value_models(models_dir)[:-1] if model.problem is None]
    newest = trained[0].as_of if trained else None
    manifest: Manifest | None = None
    problem = None
    try:
        folder = deployed_folder(models_dir)
        manifest = read_manifest(folder)
        open_session(check_files(folder, manifest))
        problem = _of_another_shop(manifest, models_dir, db)
    except ModelError as error:
        problem = str(error)
    if manifest is None:
        return ValueState(None, None, False, None, None, None, None, newest, problem)
    because = None
    if manifest.is_baseline:
        because = _why_rule(Path(trained[0].folder) if trained else None)
    training: Mapping[str, Any] = manifest.training
    return ValueState(
        manifest.version,
        manifest.sha256,
        manifest.is_baseline,
        because,
        training.get("database"),
        training.get("as_of"),
        manifest.horizon_days,
        newest,
        problem,
        manifest.explanation is not None,
    )


def _of_another_shop(manifest: Manifest, models_dir: Path, db: Path) -> str | None:
    from cva_sql.cli.shop.owner import other_database

    name = other_database(models_dir, db, manifest.training.get("database"))
    if name is None:
        return None
    return (
        f"{models_dir} has a model trained on {name}, not on {db.name}; name others by"
        f" --models-dir; if {name} was renamed: cva run --db {db} --adopt"
    )


def _why_rule(newest: Path | None) -> str:
    from cva_sql.udfs.manifest import read_manifest

    if newest is None:
        return "no model was trained yet"
    manifest = read_manifest(newest)
    verdict = manifest.evaluation.get("verdict", "no reason is known")
    return f"{manifest.version} was trained and is not deployed ({verdict})"
