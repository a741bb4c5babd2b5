"""`cva embed images`: which pictures count, what is read once, and what a stop leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from PIL import Image

from cva_sql.cli.embed import images
from cva_sql.cli.embed.images import Pictured, embed_images
from cva_sql.cli.embed.report import describe
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError, UsageError
from cva_sql.udfs.vision import VisionEncoder
from tests.vision_encoders import write_encoder

RED, BLUE = (255, 0, 0), (0, 0, 255)
PRODUCTS = ["p1", "p2", "p3", "Tür"]


def draw(path: Path, colour: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    form = "JPEG" if path.suffix in (".jpg", ".jpeg", ".JPG") else None
    Image.new("RGB", (16, 12), colour).save(path, form)
    return path


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResolvedShop:
    """One whose products are known without dbt."""
    db = tmp_path / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute("create schema main_cva")
    monkeypatch.setattr(images, "_products_of", lambda _: (PRODUCTS, True))
    return open_shop(db, need=Need.NOTHING)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoder")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def vectors(shop: ResolvedShop) -> dict[str, list[float]]:
    with duckdb.connect(str(shop.db), read_only=True) as con:
        found = con.execute(
            "select product_id, embedding from main_cva.cva_image_vectors order by 1"
        ).fetchall()
    return {product: [round(x, 2) for x in vector] for product, vector in found}


def test_each_product_has_the_mean_of_its_pictures(
    shop: ResolvedShop, folder: Path, encoder: Path
) -> None:
    draw(folder / "p1.jpg", RED)
    draw(folder / "p2.webp", BLUE)
    draw(folder / "p2.PNG", RED)
    for n, colour in enumerate([RED, BLUE, BLUE]):
        draw(folder / "p3" / f"frame{n}.png", colour)
    draw(folder / "Tu\u0308r.jpeg", BLUE)  # as some file systems spell it
    found = embed_images(shop, folder, encoder)
    assert (found.products, found.pictures, found.read, found.several) == (4, 7, 5, 2)
    assert vectors(shop) == {
        "Tür": [0, 0, 1],
        "p1": [1, 0, 0],
        "p2": [0.71, 0, 0.71],
        "p3": [0.45, 0, 0.89],
    }
    assert "2 products with several: the mean of them" in describe(found)


def test_what_cannot_be_used_is_counted_and_the_rest_is_read(
    shop: ResolvedShop, folder: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(folder / "p1.jpg", RED)
    (folder / "p2.jpg").write_bytes((folder / "p1.jpg").read_bytes()[:200])
    draw(folder / "gone.jpg", RED)
    draw(folder / "gone" / "1.jpg", RED)
    (folder / "p3.jpg").symlink_to(folder / "p1.jpg")
    (folder / "p3").symlink_to(folder, target_is_directory=True)
    (folder / "notes.txt").write_text("x")
    (folder / "p3.gif").write_text("x")
    draw(folder / "p3" / "p3.png", "black")
    found = embed_images(shop, folder, encoder)
    assert vectors(shop) == {"p1": [1, 0, 0]}
    assert found.unknown == ("gone/1.jpg", "gone.jpg")
    assert set(found.unusable) == {"pictures/p2.jpg", "pictures/p3.png"}
    assert found.unusable["pictures/p3.png"] == "the encoder says nothing of it"
    assert (found.links, found.others) == (2, 2)
    said = describe(found)
    assert "of no product of the shop: 2 pictures, e.g. gone/1.jpg, gone.jpg" in said
    assert "not followed: 2 links" in said
    assert "no pictures by their names: 2 files" in said
    assert "not read: pictures/p2.jpg: " in said


def test_a_huge_file_is_not_read(
    shop: ResolvedShop, folder: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(folder / "p1.jpg", RED)
    with (folder / "p2.jpg").open("wb") as file:
        file.truncate(100_000_001)
    found = embed_images(shop, folder, encoder)
    assert found.unusable == {"pictures/p2.jpg": "more than 100,000,000 bytes"}


def test_a_picture_is_read_once_however_it_is_called(
    shop: ResolvedShop, folder: Path, encoder: Path
) -> None:
    draw(folder / "p1.jpg", RED)
    assert embed_images(shop, folder, encoder).read == 1
    (folder / "p2.jpg").write_bytes((folder / "p1.jpg").read_bytes())
    found = embed_images(shop, folder, encoder)
    assert (found.read, found.products) == (0, 2)
    draw(folder / "p1.jpg", BLUE)
    assert embed_images(shop, folder, encoder).read == 1
    assert vectors(shop) == {"p1": [0, 0, 1], "p2": [1, 0, 0]}


def test_products_without_a_picture_any_more_keep_their_vector(
    shop: ResolvedShop, folder: Path, encoder: Path
) -> None:
    draw(folder / "p1.jpg", RED)
    embed_images(shop, folder, encoder)
    draw(folder / "p1.jpg", RED).rename(folder / "p2.jpg")
    embed_images(shop, folder, encoder)
    assert vectors(shop) == {"p1": [1, 0, 0], "p2": [1, 0, 0]}


def test_another_encoder_reads_anew_and_says_so(
    shop: ResolvedShop, folder: Path, encoder: Path, tmp_path: Path
) -> None:
    draw(folder / "p1.jpg", RED)
    draw(folder / "p2.jpg", RED)
    first = embed_images(shop, folder, encoder)
    (folder / "p2.jpg").unlink()
    other = embed_images(shop, folder, write_encoder(tmp_path / "other", mean=[2, 0, 0]))
    assert other.encoder_key != first.encoder_key
    assert (other.read, other.dropped) == (1, 2)
    assert "another encoder's vectors are gone: 2 products" in describe(other)
    assert vectors(shop) == {"p1": [-1, 0, 0]}


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stops as a kill does, at the fifth picture; two pictures are a batch."""
    monkeypatch.setattr(images, "BATCH", 2)
    real, calls = VisionEncoder.vector_of, [0]

    def read(self: VisionEncoder, picture: Image.Image) -> Any:
        calls[0] += 1
        if calls[0] == 5:
            raise KeyboardInterrupt
        return real(self, picture)

    with monkeypatch.context() as patch:
        patch.setattr(VisionEncoder, "vector_of", read)
        yield


def test_what_was_read_before_a_kill_is_not_read_again(
    shop: ResolvedShop, folder: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch, stopped: None
) -> None:
    for n in range(6):
        draw(folder / "p1" / f"{n}.png", (255, n, 0))
    draw(folder / "p2.png", BLUE)
    with pytest.raises(KeyboardInterrupt):
        embed_images(shop, folder, encoder)
    assert vectors(shop) == {}
    monkeypatch.undo()
    monkeypatch.setattr(images, "_products_of", lambda _: (PRODUCTS, True))
    found = embed_images(shop, folder, encoder)
    assert (found.read, found.products) == (3, 2)


def test_a_stop_leaves_the_vectors_of_another_encoder_as_they_were(
    shop: ResolvedShop,
    folder: Path,
    encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw(folder / "p1.jpg", RED)
    embed_images(shop, folder, encoder)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(images, "_write_part", stop)
        with pytest.raises(KeyboardInterrupt):
            embed_images(shop, folder, write_encoder(tmp_path / "other", mean=[2, 0, 0]))
    assert vectors(shop) == {"p1": [1, 0, 0]}
    assert embed_images(shop, folder, encoder).read == 0


@pytest.mark.parametrize(
    ("files", "error", "expected"),
    [
        ((), UsageError, "has no pictures; expected FOLDER/<product_id>.jpg"),
        (("notes.txt",), UsageError, "has no pictures"),
        (("x.jpg",), CvaError, "which has 4: x.jpg of none; load them with: cva load products"),
    ],
)
def test_a_folder_without_pictures_of_products_is_one_line(
    shop: ResolvedShop,
    folder: Path,
    encoder: Path,
    files: tuple[str, ...],
    error: type[CvaError],
    expected: str,
) -> None:
    for name in files:
        (folder / name).write_text("x")
    with pytest.raises(error, match=expected) as raised:
        embed_images(shop, folder, encoder)
    assert "\n" not in str(raised.value)


def test_a_folder_that_is_none_is_one_line(
    shop: ResolvedShop, tmp_path: Path, encoder: Path
) -> None:
    with pytest.raises(UsageError, match="absent cannot be read: No such file"):
        embed_images(shop, tmp_path / "absent", encoder)


def test_a_shop_without_products_is_told_to_load_them(
    shop: ResolvedShop, folder: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    draw(folder / "p1.jpg", RED)
    with pytest.raises(
        CvaError, match=r"has no table raw\.products, so no picture is of a product"
    ):
        embed_images(shop, folder, encoder)


def test_vectors_of_the_shops_own_are_said_to_come_first() -> None:
    found = Pictured(1, 1, 1, 0, {}, (), 0, 0, 0, 0.1, "k", 3, "t", False)
    assert "products.image_vector has vectors of the shop's own" in describe(found)
