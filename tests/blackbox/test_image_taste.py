"""From a folder of pictures to a customer's taste, through the command and a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
from PIL import Image

from tests.vision_encoders import write_encoder

SHOP = """create schema raw;
create table raw.orders as select 'o' || i as order_id, case when i < 40 then 'one' else 'all' end
    as customer_id, timestamp '2024-01-01' + interval (i) day as ordered_at, 10 + i % 3 as amount
from range(80) as t(i);
create table raw.order_items as select 'o' || i as order_id,
    case when i < 40 then 'red' else ['red', 'blue'][1 + i % 2] end as product_id
from range(80) as t(i);
create table raw.products as from (values ('red'), ('blue')) as t(product_id)
"""


def test_pictures_become_taste_and_ones_own_vectors_come_first(
    tmp_path: Path, cva: Any, rows: Any
) -> None:
    db, pictures = tmp_path / "shop.duckdb", tmp_path / "pictures"
    with duckdb.connect(str(db)) as con:
        con.execute(SHOP)
    pictures.mkdir()
    for name, colour in {"red": (255, 0, 0), "blue": (0, 0, 255), "gone": (0, 255, 0)}.items():
        Image.new("RGB", (30, 20), colour).save(pictures / f"{name}.jpg", quality=95)
    call = (
        "embed",
        "images",
        pictures,
        "--encoder",
        write_encoder(tmp_path / "e", flat=True),
        "--db",
        db,
    )
    done = cva(*call, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["products"], found["read"], found["unknown"]) == (2, 2, ["gone.jpg"])
    assert found["is_used"]

    query = (
        "select customer_id, image_taste_breadth, text_taste_breadth from main.customer_features"
        " order by customer_id"
    )
    assert cva("run", "--db", db, "--vars", "{cva_every_family: true}").returncode == 0
    (_, broad, _), narrow = rows(db, query)
    assert narrow == ("one", 0, None)
    assert 0.28 < broad < 0.3  # two directions at a right angle: 1 - sqrt(1 / 2)

    with duckdb.connect(str(db)) as con:
        con.execute("alter table raw.products add image_vector double[]")
        con.execute("update raw.products set image_vector = [1, 1]")
    done = cva(*call)
    assert "0 of them read now" in done.stdout
    assert "products.image_vector has vectors of the shop's own" in done.stdout
    assert cva("run", "--db", db, "--vars", "{cva_every_family: true}").returncode == 0
    assert rows(db, query) == [("all", 0, None), ("one", 0, None)]
