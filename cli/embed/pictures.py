"""The pictures of products in a folder: which there are, and what is in one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
FORMATS = ("JPEG", "PNG", "WEBP")
MOST_BYTES = 100_000_000  # of a file
MOST_PIXELS = 100_000_000  # of a picture: a small file may hold one that fills the memory
EXPECTED = (
    "expected FOLDER/<product_id>.jpg, .jpeg, .png or .webp, or FOLDER/<product_id>/ with several"
)


@dataclass(frozen=True)
class Found:
    """Product -> its pictures, by name; `unknown` are pictures of products that nobody knows.

    `links` are not followed, `others` are files that are no pictures by their names.
    """

    pictures: dict[str, list[Path]]
    unknown: tuple[Path, ...]
    links: int
    others: int


class Unusable(Exception):
    """A file that is not read, and why."""


def find_pictures(folder: Path, products: Iterable[str]) -> Found:
    """The pictures of `products` in a folder; raises UsageError where there is none at all."""
    # Some file systems take letters with accents apart.
    known = {_whole(product): product for product in products}
    pictures: dict[str, list[Path]] = {}
    unknown, links, others = list[Path](), 0, 0
    for name, path in _files_of(folder):
        if path.is_symlink():
            links += 1
        elif path.suffix.lower() not in SUFFIXES or not path.is_file():
            others += 1
        elif (product := known.get(_whole(name))) is None:
            unknown.append(path)
        else:
            pictures.setdefault(product, []).append(path)
    if not pictures and not unknown:
        raise UsageError(f"{folder} has no pictures; {EXPECTED}")
    return Found(pictures, tuple(unknown), links, others)


def _whole(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """The product that a file would be of, and the file; of a folder, each file in it."""
    try:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                yield from ((path.name, inner) for inner in sorted(path.iterdir()))
            else:
                yield path.stem if path.suffix.lower() in SUFFIXES else path.name, path
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}; {EXPECTED}") from None


def decode(data: bytes) -> Image:
    """The picture in a file's bytes, upright, in RGB, on white where it is transparent.

    Raises Unusable where there is none, it is cut off, or larger than MOST_PIXELS.
    """
    import io

    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # ours comes before anything is decoded
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise Unusable(
                    f"{opened.width} x {opened.height} pixels, more than {MOST_PIXELS:,}"
                )
            upright = ImageOps.exif_transpose(opened)
        if not upright.has_transparency_data:
            return upright.convert("RGB")
        above = upright.convert("RGBA")
        white = Image.new("RGBA", above.size, "white")
        return Image.alpha_composite(white, above).convert("RGB")
    except Unusable:
        raise
    except MemoryError:
        raise Unusable("it needs more memory than there is") from None
    except Exception as error:  # noqa: BLE001 - what the formats raise has nothing in common
        raise Unusable(" ".join(str(error).split())[:200] or type(error).__name__) from None


def read_picture(path: Path) -> bytes:
    """The bytes of a picture's file; raises Unusable where it cannot be read or is too large."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise Unusable(f"more than {MOST_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise Unusable(str(error.strerror)) from None
