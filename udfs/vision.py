"""A vision encoder that somebody else made: one picture in, the vector of what it shows out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.model_files import parse_object, read_text_file
from cva_sql.udfs.sessions import NUMBER_TYPE, OUTPUT_TYPES, Session

if TYPE_CHECKING:
    from PIL.Image import Image

MODEL_FILE, MANIFEST_FILE = "model.onnx", "manifest.json"
LARGEST = 4096  # pixels of a side that an encoder may ask for
RESIZES, COLOURS, LAYOUTS = ("crop", "stretch"), ("rgb", "bgr"), ("nchw", "nhwc")
INTERPOLATIONS = ("bicubic", "bilinear", "nearest")
FREE = ("name", "source", "licence")  # for people; nothing reads them
EXPECTED = (
    '{"input": "pixel_values", "size": 224, "mean": [0.485, 0.456, 0.406],'
    ' "std": [0.229, 0.224, 0.225]}'
)


@dataclass(frozen=True)
class VisionManifest:
    """How a picture becomes the input of an encoder, and which output is its vector.

    `size` is (height, width) in pixels. With `crop` a picture is scaled until its shorter edge has
    `shorter_edge` pixels, and the middle is cut out; with `stretch` it is bent into shape. A pixel
    is (value * scale - mean) / std, by channel in the order of `colours`. `output` None is the
    first.
    """

    input: str
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    output: str | None = None
    resize: str = "crop"
    shorter_edge: int = 0
    interpolation: str = "bicubic"
    colours: str = "rgb"
    layout: str = "nchw"
    scale: float = 1 / 255


def read_vision_manifest(folder: Path) -> VisionManifest:
    """The manifest of an encoder's folder; raises ModelError, which says what is wrong with it."""
    path = folder / MANIFEST_FILE
    text = read_text_file(path, "a vision encoder's manifest", f"expected, e.g.: {EXPECTED}")
    try:
        return _manifest_of(parse_object(text))
    except (ValueError, TypeError, KeyError) as error:
        said = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f"{path} is not a vision encoder's manifest ({said}); expected, e.g.: {EXPECTED}"
        ) from None


def _manifest_of(raw: dict[str, Any]) -> VisionManifest:
    raw = {name: value for name, value in raw.items() if name not in FREE}
    known = list(VisionManifest.__dataclass_fields__)
    if unknown := sorted(raw.keys() - set(known)):
        raise ValueError(f"{ascii(unknown[0])[:40]} is not known, there are {', '.join(known)}")
    size = raw["size"]
    sides = [size, size] if not isinstance(size, list) else size
    if len(sides) != 2 or not all(type(n) is int and 1 <= n <= LARGEST for n in sides):
        raise ValueError(f"size is no number of pixels from 1 to {LARGEST}, and no two of them")
    edge = raw.get("shorter_edge", max(sides))
    if type(edge) is not int or not max(sides) <= edge <= 2 * LARGEST:
        raise ValueError("shorter_edge is no number of pixels from size on")
    colours = {name: _three_numbers(raw, name) for name in ("mean", "std")}
    if not all(number > 0 for number in colours["std"]):
        raise ValueError("std has a number that is not above 0")
    if not _is_number(raw.get("scale", 1)) or not raw.get("scale", 1) > 0:
        raise ValueError("scale is no number above 0")
    for name, choice in _choices().items():
        if raw.get(name, choice[0]) not in choice:
            raise ValueError(f"{name} is none of {', '.join(choice)}")
    for name in ("input", *(("output",) if raw.get("output") is not None else ())):
        if not isinstance(raw[name], str) or not raw[name]:
            raise ValueError(f"{name} is no name")
    return VisionManifest(**{**raw, **colours, "size": tuple(sides), "shorter_edge": edge})


def _choices() -> dict[str, tuple[str, ...]]:
    return {
        "resize": RESIZES,
        "interpolation": INTERPOLATIONS,
        "colours": COLOURS,
        "layout": LAYOUTS,
    }


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and bool(np.isfinite(value))  # type: ignore[call-overload]


def _three_numbers(raw: dict[str, Any], name: str) -> tuple[float, ...]:
    value = raw[name]
    if not isinstance(value, list) or len(value) != 3 or not all(map(_is_number, value)):
        raise ValueError(f"{name} is no list of 3 numbers")
    return tuple(map(float, value))


class VisionEncoder:
    """Reads pictures, each by itself: what comes with it does not change a bit of the result.

    `width` is how many numbers a vector has.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.manifest = folder, read_vision_manifest(folder)
        file = folder / MODEL_FILE
        if not file.is_file():
            raise ModelError(f"{file} is missing; export the vision encoder to it")
        self.key = _key_of(folder, self.manifest)
        self._session = Session(str(file), f"export {file} again")
        self._check_names()
        height, width = self.manifest.size
        grey = np.full((height, width, 3), 127, dtype=np.uint8)
        self.width = self._run(grey).size

    def _check_names(self) -> None:
        inputs, outputs = self._session.inputs(), self._session.outputs()
        if inputs != {self.manifest.input: NUMBER_TYPE}:
            raise ModelError(
                f"{self.folder / MODEL_FILE} has the inputs {inputs}; expected "
                f"{self.manifest.input} of {NUMBER_TYPE} alone, as {MANIFEST_FILE} says"
            )
        name = self.manifest.output or next(iter(outputs))
        if outputs.get(name) not in OUTPUT_TYPES:
            raise ModelError(
                f"{self.folder / MODEL_FILE} has the outputs {outputs}; expected {name} of "
                f"{OUTPUT_TYPES[1]}, name another in {MANIFEST_FILE}"
            )
        self._output = name

    def vector_of(self, picture: Image) -> NDArray[np.float32] | None:
        """Its vector of length 1, float32 (width,); None where the encoder gives no direction."""
        vector = self._run(self._shaped(picture)).astype(np.float64)
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length == 0:
            return None
        return np.asarray(vector / length, dtype=np.float32)

    def _shaped(self, picture: Image) -> NDArray[np.uint8]:
        """The picture in the encoder's size, uint8 (height, width, 3) in RGB."""
        from PIL.Image import Resampling

        way: Callable[[str], Any] = Resampling.__getitem__
        height, width = self.manifest.size
        how = way(self.manifest.interpolation.upper())
        if self.manifest.resize == "stretch":
            return np.asarray(picture.resize((width, height), how))
        share = self.manifest.shorter_edge / min(picture.size)
        # The middle is cut out before it is scaled: a strip of a pixel's height stays small.
        box_width, box_height = width / share, height / share
        left = max(0.0, (picture.width - box_width) / 2)
        top = max(0.0, (picture.height - box_height) / 2)
        right, bottom = left + box_width, top + box_height
        box = (left, top, min(right, picture.width), min(bottom, picture.height))
        return np.asarray(picture.resize((width, height), how, box=box))

    def _run(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        said = self.manifest
        ordered = pixels[:, :, ::-1] if said.colours == "bgr" else pixels
        mean, std = np.array(said.mean), np.array(said.std)
        values = ((ordered * said.scale - mean) / std).astype(np.float32)
        given = values if said.layout == "nhwc" else values.transpose(2, 0, 1)
        (found,) = self._session.run(
            [self._output], {said.input: np.ascontiguousarray(given[None])}
        )
        shape = np.shape(found)
        if len(shape) < 2 or shape[0] != 1 or any(n != 1 for n in shape[2:]):
            raise ModelError(
                f"output {self._output} of {self.folder / MODEL_FILE} has shape {shape} for a "
                f"picture, expected (1, width); name the pooled output in {MANIFEST_FILE}"
            )
        return np.asarray(found).reshape(-1)


def _key_of(folder: Path, manifest: VisionManifest) -> str:
    """16 hex digits that change with anything that changes a vector, weights in other files too."""
    digest = hashlib.sha256(json.dumps(asdict(manifest), sort_keys=True).encode())
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name != MANIFEST_FILE and not file.name.startswith("."):
            digest.update(f"\n{file.name}\n".encode())
            with file.open("rb") as data:
                digest.update(hashlib.file_digest(data, "sha256").digest())
    return digest.hexdigest()[:16]
