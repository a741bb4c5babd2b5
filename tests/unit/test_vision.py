"""A vision encoder by its manifest, and what becomes of pictures before it sees them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cva_sql.cli.embed import pictures
from cva_sql.cli.embed.pictures import Unusable, decode
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.vision import VisionEncoder
from tests.vision_encoders import write_encoder

RED, BLUE = (255, 0, 0), (0, 0, 255)


def saved(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, form, **options)
    return data.getvalue()


def vector(encoder: VisionEncoder, picture: Image.Image) -> list[float]:
    found = encoder.vector_of(picture)
    assert found is not None
    assert found.dtype == np.float32
    return [round(float(x), 3) for x in found]


def test_a_picture_has_a_vector_of_length_one(tmp_path: Path) -> None:
    encoder = VisionEncoder(write_encoder(tmp_path))
    assert encoder.width == 3
    assert vector(encoder, Image.new("RGB", (20, 10), RED)) == [1, 0, 0]
    assert vector(encoder, Image.new("RGB", (3, 4000), (255, 255, 0))) == [0.707, 0.707, 0]
    assert encoder.vector_of(Image.new("RGB", (8, 8), "black")) is None


def test_mean_deviation_scale_and_order_of_colours_are_the_manifests(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8), RED)
    said = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 1]}
    assert vector(VisionEncoder(write_encoder(tmp_path / "a", **said)), picture) == [
        0.667, -0.667, -0.333,
    ]  # fmt: skip
    assert vector(VisionEncoder(write_encoder(tmp_path / "b", colours="bgr")), picture) == [0, 0, 1]
    said = {"scale": 1, "mean": [254, 0, 0]}
    assert vector(VisionEncoder(write_encoder(tmp_path / "c", **said)), picture) == [1, 0, 0]


def test_the_middle_is_cut_out_or_the_whole_is_bent_into_shape(tmp_path: Path) -> None:
    picture = Image.new("RGB", (24, 8), BLUE)
    picture.paste(RED, (8, 0, 16, 8))
    cut = VisionEncoder(write_encoder(tmp_path / "cut", interpolation="nearest"))
    bent = VisionEncoder(
        write_encoder(tmp_path / "bent", resize="stretch", size=[8, 24], interpolation="nearest")
    )
    assert vector(cut, picture) == [1, 0, 0]
    assert vector(bent, picture) == [0.447, 0, 0.894]


def test_the_key_changes_with_the_model_and_with_the_manifest(tmp_path: Path) -> None:
    keys = {
        VisionEncoder(write_encoder(tmp_path / name, **said)).key
        for name, said in {
            "a": {},
            "b": {"times": 2.0},
            "c": {"std": [2, 1, 1]},
            "d": {"size": 9},
            "e": {"name": "the same as a, called otherwise"},
        }.items()
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"size": 0}, "size is no number of pixels"),
        ({"size": [8]}, "size is no number of pixels"),
        ({"size": "8"}, "size is no number of pixels"),
        ({"mean": [0, 0]}, "mean is no list of 3 numbers"),
        ({"std": [1, 0, 1]}, "std has a number that is not above 0"),
        ({"std": ["a", 1, 1]}, "std is no list of 3 numbers"),
        ({"scale": 0}, "scale is no number above 0"),
        ({"resize": "squeeze"}, "resize is none of crop, stretch"),
        ({"shorter_edge": 4}, "shorter_edge is no number of pixels from size on"),
        ({"colors": "bgr"}, "'colors' is not known, there are input, size"),
        ({"input": ""}, "input is no name"),
        ({"input": "y"}, "expected y of tensor(float) alone"),
        ({"output": "q"}, "expected q of tensor(float), name another in manifest.json"),
        ({"pooled": False}, "has shape (1, 3, 8, 8) for a picture, expected (1, width)"),
        ({"layout": "nhwc"}, "an ONNX file that fails on these rows"),
    ],
)
def test_a_wrong_manifest_is_one_line(tmp_path: Path, said: dict[str, Any], expected: str) -> None:
    write_encoder(tmp_path, **said)
    with pytest.raises(ModelError) as error:
        VisionEncoder(tmp_path)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)
    assert "cva train" not in str(error.value)


@pytest.mark.parametrize(
    ("file", "data", "expected"),
    [
        ("manifest.json", None, "manifest.json is missing; expected, e.g.: {"),
        ("manifest.json", b"[]", "is not a vision encoder's manifest (list, expected an object)"),
        ("manifest.json", b'{"input": "x"}', "(size is missing)"),
        ("model.onnx", None, "model.onnx is missing; export the vision encoder to it"),
        ("model.onnx", b"no", "no ONNX file that can be run here"),
    ],
)
def test_a_missing_or_broken_file_is_one_line(
    tmp_path: Path, file: str, data: bytes | None, expected: str
) -> None:
    path = write_encoder(tmp_path) / file
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(ModelError) as error:
        VisionEncoder(tmp_path)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_pictures_are_upright_on_white_and_in_rgb() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert decode(saved(clear)).getpixel((0, 0)) == (255, 255, 255)
    for mode in ("L", "CMYK", "1", "P", "RGB"):
        form = "JPEG" if mode == "CMYK" else "PNG"
        assert decode(saved(Image.new(mode, (4, 4)), form)).mode == "RGB"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    turned = saved(Image.new("RGB", (6, 2)), "JPEG", exif=exif)
    assert decode(turned).size == (2, 6)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        saved(Image.effect_noise((64, 64), 90).convert("RGB"), "JPEG")[:900],
        saved(Image.effect_noise((64, 64), 90), "PNG")[:900],
        saved(Image.new("RGB", (4, 4)), "GIF"),
    ],
)
def test_what_is_no_picture_or_cut_off_is_unusable(data: bytes) -> None:
    with pytest.raises(Unusable):
        decode(data)


def test_a_small_file_of_a_huge_picture_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_PIXELS", 10_000)
    data = saved(Image.new("1", (200, 200)), "PNG")
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(Unusable, match="200 x 200 pixels, more than 10,000"):
        decode(data)
