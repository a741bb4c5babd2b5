"""The projection of text vectors: how it is fitted, applied, kept, and who may see which texts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train import examples as training_data
from cva_sql.cli.train import texts as training_texts
from cva_sql.cli.train.examples import build_examples
from cva_sql.cli.train.texts import (
    NO_TEXTS,
    Texts,
    packaged_aside,
    read_texts,
    refuse_taught_later,
)
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.text_projection import MAX_TEXTS, MIN_TEXTS, fit_text_projection
from cva_sql.udfs.encoder import encoder_folder, read_encoder_manifest
from cva_sql.udfs.errors import CvaError, ModelError
from cva_sql.udfs.manifest import MANIFEST_FILE, Manifest, read_manifest
from cva_sql.udfs.projection import (
    DIMENSION,
    MAX_COMPONENTS,
    WORD_COMPONENTS,
    TextProjection,
    empty_projection,
    read_projection,
)

TOPICS = 5
KEY = "0123456789abcdef"


def texts(count: int = 600, seed: int = 3) -> NDArray[np.float32]:
    """Unit vectors around a few topics, the first of which varies most."""
    random = np.random.default_rng(seed)
    directions = np.linalg.qr(random.normal(size=(DIMENSION, TOPICS)))[0].T
    strength = random.normal(size=(count, TOPICS)) * np.array([2.0, 1.4, 1.0, 0.7, 0.5])
    vectors = strength @ directions + 0.02 * random.normal(size=(count, DIMENSION)) + 0.05
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(unit, dtype=np.float32)


def fitted(vectors: NDArray[np.float32] | None = None) -> TextProjection:
    projection = fit_text_projection(texts() if vectors is None else vectors, KEY)
    assert projection is not None
    return projection


def test_components_are_centred_orthogonal_signed_and_rounded() -> None:
    vectors, projection = texts(), fitted()
    assert projection.components.shape == (MAX_COMPONENTS, DIMENSION)
    assert np.array_equal(projection.components, np.round(projection.components, 6))
    assert projection.mean == pytest.approx(vectors.mean(axis=0), abs=1e-6)
    products = projection.components @ projection.components.T
    assert products == pytest.approx(np.eye(MAX_COMPONENTS), abs=1e-4)  # rounding of 384 loadings
    largest = np.argmax(np.abs(projection.components), axis=1)
    assert (projection.components[np.arange(MAX_COMPONENTS), largest] > 0).all()
    spread = projection.apply(vectors).var(axis=0)
    assert (np.diff(spread) <= 1e-9).all()
    assert spread[:TOPICS].sum() > 0.9 * vectors.var(axis=0).sum()


def test_fitting_again_gives_the_same_numbers() -> None:
    assert fitted().to_json() == fitted().to_json()


@pytest.mark.parametrize("count", [0, 1, MIN_TEXTS - 1])
def test_too_few_texts_give_no_projection(count: int) -> None:
    assert fit_text_projection(texts(MIN_TEXTS)[:count], KEY) is None


def test_enough_texts_give_one() -> None:
    assert fit_text_projection(texts(MIN_TEXTS), KEY) is not None


def test_texts_that_are_all_alike_give_no_projection() -> None:
    assert fit_text_projection(np.repeat(texts(1), 500, axis=0), KEY) is None


def test_directions_without_variance_are_left_out() -> None:
    vectors = np.zeros((400, DIMENSION), dtype=np.float32)
    angle = np.linspace(0, 2 * np.pi, 400)
    vectors[:, 0], vectors[:, 1] = np.cos(angle), np.sin(angle)
    assert fitted(vectors).components.shape == (2, DIMENSION)


def test_texts_above_the_limit_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_TEXTS == 20_000
    monkeypatch.setattr("cva_sql.models_onnx.value.data.text_projection.MAX_TEXTS", 300)
    assert fitted(texts(600)).to_json() == fitted(texts(600)[:300]).to_json()


def test_apply_is_the_product_of_the_centred_vector_rounded() -> None:
    vectors, projection = texts(50), fitted()
    found = projection.apply(vectors)
    assert found.dtype == np.float32
    expected = (vectors.astype(np.float64) - projection.mean) @ projection.components.T
    assert found == pytest.approx(expected, abs=1e-6)  # rounding, and single precision
    assert np.array_equal(found, np.round(found.astype(np.float64), 6).astype(np.float32))


@settings(max_examples=25, deadline=None)
@given(first=st.integers(0, 590), count=st.integers(1, 10), stride=st.sampled_from([1, 2, 7]))
def test_a_rows_result_does_not_depend_on_the_rows_beside_it(
    first: int, count: int, stride: int
) -> None:
    vectors, projection = texts(), fitted()
    whole = projection.apply(vectors)
    rows = slice(first, first + count * stride, stride)
    assert projection.apply(vectors[rows]).tobytes() == whole[rows].tobytes()
    columns_first = np.asfortranarray(vectors[rows])
    assert projection.apply(columns_first).tobytes() == whole[rows].tobytes()


def test_json_round_trip_changes_no_bit() -> None:
    projection = fitted()
    again = TextProjection.from_json(projection.to_json())
    assert np.array_equal(again.components, projection.components)
    assert np.array_equal(again.mean, projection.mean)
    assert sorted(json.loads(projection.to_json())) == [
        "components",
        "encoder_key",
        "mean",
    ]


def test_empty_projection_has_no_column_and_survives_json() -> None:
    empty = TextProjection.from_json(empty_projection().to_json())
    assert empty.is_empty
    assert empty.apply(texts(3)).shape == (3, 0)
    assert not fitted().is_empty
    assert fitted().apply(texts(3)[:0]).shape == (0, MAX_COMPONENTS)


@pytest.mark.parametrize(
    "raw",
    [
        '{"components": [[1, 2]], "mean": [0, 0]}',
        json.dumps({"components": [[0.0] * 384] * 17, "mean": [0.0] * 384}),
        json.dumps({"components": [[float("nan")] * 384], "mean": [0.0] * 384}),
        '{"mean": []}',
        "[]",
        "not json",
    ],
)
def test_file_that_is_no_projection_is_named(raw: str, tmp_path: Path) -> None:
    file = tmp_path / "projection.json"
    file.write_text(raw)
    with pytest.raises(ModelError, match=r"projection\.json is not a text projection"):
        read_projection(file)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.json is missing"):
        read_projection(tmp_path / "nothing.json")


def manifest(projection: TextProjection | None) -> Manifest:
    return Manifest("value", "v1", "00", (), 90, False, 17, {}, {}, projection)


def test_manifest_keeps_the_projection(tmp_path: Path) -> None:
    projection = fitted()
    (tmp_path / MANIFEST_FILE).write_text(manifest(projection).to_json())
    found = read_manifest(tmp_path).text_projection
    assert found is not None
    assert found.to_json() == projection.to_json()


def test_manifest_without_projection_is_as_it_was_before_there_were_any(tmp_path: Path) -> None:
    text = manifest(None).to_json()
    assert "text_projection" not in json.loads(text)
    (tmp_path / MANIFEST_FILE).write_text(text)
    assert read_manifest(tmp_path) == manifest(None)


def test_manifest_keeps_the_projection_of_words_beside_that_of_reviews(tmp_path: Path) -> None:
    words = fit_text_projection(texts(seed=5), KEY, WORD_COMPONENTS)
    assert words is not None
    both = replace(manifest(fitted()), words_projection=words)
    (tmp_path / MANIFEST_FILE).write_text(both.to_json())
    found = read_manifest(tmp_path)
    assert found.text_projection is not None
    assert found.words_projection is not None
    assert found.text_projection.to_json() == fitted().to_json()
    assert found.words_projection.to_json() == words.to_json()


def test_manifest_with_a_broken_projection_is_an_error(tmp_path: Path) -> None:
    raw = json.loads(manifest(None).to_json()) | {"text_projection": {"components": [[1.0]]}}
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(raw))
    with pytest.raises(ModelError, match="is not a manifest"):
        read_manifest(tmp_path)


DbtCalls = list[tuple[list[str], dict[str, Any]]]


@pytest.fixture
def shop(tmp_path: Path) -> ResolvedShop:
    """A shop whose texts are read: one review each, two days a review, newest texts last."""
    db = tmp_path / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw")
        con.execute("create table raw.reviews as select 'r1' as review_id")
        con.execute("create schema main_cva")
        vectors = texts(600)
        con.execute(
            "create table main_cva.int_cva__text_vectors (text_hash varchar, embedding float[384])"
        )
        con.executemany(
            "insert into main_cva.int_cva__text_vectors values (?, ?)",
            [[f"{i:04}", vector.tolist()] for i, vector in enumerate(vectors)],
        )
        con.execute("insert into main_cva.int_cva__text_vectors values ('9999', null)")
        con.execute(
            "create table main_cva.int_cva__reviews_valid as select text_hash, date '2024-01-01' "
            "+ cast(text_hash as integer) // 2 as review_date from main_cva.int_cva__text_vectors "
            "union all select '0000', date '2024-01-03'"  # a text that two reviews share
        )
        con.execute("alter table main_cva.int_cva__reviews_valid add column customer_id varchar")
        con.execute("update main_cva.int_cva__reviews_valid set customer_id = text_hash")
        con.execute(
            "create table main_cva.stg_cva__customers (customer_id varchar, profiling_opt_out "
            "boolean, valid_from timestamp, reject_reason varchar)"
        )
        con.execute(
            "create table main_cva.stg_cva__tickets (customer_id varchar, subject varchar, "
            "body varchar)"
        )
    return ResolvedShop(db, tmp_path / "cva_models")


@pytest.fixture
def dbt_calls(monkeypatch: pytest.MonkeyPatch) -> DbtCalls:
    """What dbt was asked to do, without doing it."""
    calls: DbtCalls = []

    def run_dbt(shop: ResolvedShop, command: str, **options: Any) -> None:
        calls.append((list(options["select"]), options))

    for module in (training_data, training_texts):
        monkeypatch.setattr(module, "run_dbt", run_dbt)
    return calls


def test_projection_is_fitted_on_texts_before_the_first_date_alone(
    shop: ResolvedShop, dbt_calls: DbtCalls
) -> None:
    found = read_texts(shop, before=date(2024, 5, 10))
    assert found.vectors == "main_cva.int_cva__text_vectors"
    assert found.projection is not None
    days = (date(2024, 5, 10) - date(2024, 1, 1)).days
    expected = replace(fitted(texts(600)[: 2 * days]), encoder_key=found.projection.encoder_key)
    assert found.projection.to_json() == expected.to_json()
    ((select, options),) = dbt_calls
    assert select == ["+int_cva__text_vectors", "+stg_cva__customers"]
    assert options.get("schema") is None  # the shop's own
    wanted = {"cva_spine": "scoring", "cva_udfs": True, "cva_every_family": True}
    assert options["variables"] == wanted


def test_what_an_encoder_has_learned_is_not_read_by_it(
    shop: ResolvedShop, dbt_calls: DbtCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = encoder_folder(shop.models_dir)
    own = shop.models_dir / "encoder"
    shutil.copytree(packaged, own)
    manifest = read_encoder_manifest(own)
    taught = replace(manifest, trained_before="2024-05-01", pooling="another")
    (own / "manifest.json").write_text(taught.to_json())
    assert packaged_aside(shop, date(2024, 5, 1), "s") is None
    aside = packaged_aside(shop, date(2024, 4, 30), "s")
    assert aside == "s_packaged"
    refuse_taught_later(shop, date(2024, 5, 1))
    with pytest.raises(CvaError, match=r"before 2024-05-01, and training learns from 2024-04-30"):
        refuse_taught_later(shop, date(2024, 4, 30))
    with duckdb.connect(str(shop.db)) as con:
        con.execute("create schema s_packaged_cva")
        for table in ("int_cva__text_vectors", "int_cva__reviews_valid", "stg_cva__customers"):
            con.execute(f"create table s_packaged_cva.{table} as from main_cva.{table}")
    found = read_texts(shop, date(2024, 4, 30), aside)
    assert found.vectors == "s_packaged_cva.int_cva__text_vectors"
    assert found.projection is not None
    assert found.projection.encoder_key == manifest.key
    ((_, options),) = dbt_calls
    assert options["schema"] == "s_packaged"
    assert options["environment"] == found.environment == {"CVA_PACKAGED_ENCODER": "1"}
    assert encoder_folder(shop.models_dir) == own
    monkeypatch.setenv("CVA_PACKAGED_ENCODER", "1")
    assert encoder_folder(shop.models_dir) == packaged


def test_too_few_texts_before_the_first_date_give_vectors_without_projection(
    shop: ResolvedShop, dbt_calls: DbtCalls
) -> None:
    found = read_texts(shop, before=date(2024, 2, 1))
    assert found == Texts("main_cva.int_cva__text_vectors", None)


@pytest.mark.parametrize(
    "variables", [{"cva_families_off": ["reviews"]}, {"cva_reviews_identifier": "opinions"}]
)
def test_shop_without_reviews_reads_nothing(
    shop: ResolvedShop, dbt_calls: DbtCalls, variables: dict[str, Any]
) -> None:
    assert read_texts(replace(shop, vars=variables), before=date(2025, 1, 1)) is NO_TEXTS
    assert dbt_calls == []


@pytest.mark.parametrize(
    ("tables", "variables", "is_read"),
    [
        (
            ["order_items as select 1 as product_id", "products as select 1 as product_id"],
            {},
            False,
        ),
        (["products as select 'x' as name"], {}, False),
        (["order_items as select 1 as product_id", "products as select 'x' as name"], {}, True),
        (["order_items as select 1 as ware", "products as select 'x' as name"], {}, False),
        (
            ["order_items as select 1 as ware", "products as select 'x' as name"],
            {"cva_order_items_columns": {"product_id": "ware"}},
            True,
        ),
        (["events as select 'x' as search_query"], {}, True),
        (["events as select 'x' as search_query"], {"cva_families_off": ["browse"]}, False),
        (["tickets as select 'x' as subject"], {}, True),
        (["tickets as select 'x' as subject"], {"cva_families_off": ["words"]}, False),
    ],
)
def test_words_are_read_where_a_table_has_some(
    shop: ResolvedShop,
    dbt_calls: DbtCalls,
    tables: list[str],
    variables: dict[str, Any],
    is_read: bool,
) -> None:
    with duckdb.connect(str(shop.db)) as con:
        con.execute("drop table raw.reviews")
        for table in tables:
            con.execute(f"create table raw.{table}")
        con.execute(
            "create table main_cva.int_cva__review_texts as select text_hash, date '2024-01-01' +"
            " cast(text_hash as integer) // 2 as words_date from main_cva.int_cva__text_vectors"
        )
    found = read_texts(replace(shop, vars=variables), before=date(2024, 5, 10))
    assert len(dbt_calls) == is_read
    if not is_read:
        assert found is NO_TEXTS
        return
    assert (found.vectors, found.projection) == ("main_cva.int_cva__text_vectors", None)
    known = texts(600)[: 2 * (date(2024, 5, 10) - date(2024, 1, 1)).days]
    expected = fit_text_projection(known, KEY, WORD_COMPONENTS)
    assert expected is not None
    assert found.words is not None
    assert np.array_equal(found.words.components, expected.components)
    assert len(found.words.components) == WORD_COMPONENTS


def test_nothing_is_fitted_on_what_they_wrote_who_object(
    shop: ResolvedShop, dbt_calls: DbtCalls
) -> None:
    objecting = [f"{i:04}" for i in range(1, 600, 2)]
    with duckdb.connect(str(shop.db)) as con:
        con.execute("create table raw.tickets as select 'x' as subject")
        con.executemany(
            "insert into main_cva.stg_cva__customers values (?, true, null, null)",
            [[one] for one in objecting],
        )
        con.execute(
            "create table main_cva.int_cva__review_texts as select if(text_hash = '9999', "
            "text_hash, sha256('Ticket ' || text_hash)) as text_hash, date '2024-01-01' as "
            "words_date from main_cva.int_cva__text_vectors"
        )
        con.execute(
            "insert into main_cva.stg_cva__tickets select text_hash, 'Ticket ' || text_hash, null "
            "from main_cva.int_cva__text_vectors"
        )
        con.execute(
            "insert into main_cva.int_cva__text_vectors select sha256('Ticket ' || text_hash), "
            "embedding from main_cva.int_cva__text_vectors"
        )
    found = read_texts(shop, before=date(2025, 1, 1))
    kept = texts(600)[::2]
    expected = fit_text_projection(kept, KEY, WORD_COMPONENTS)
    assert expected is not None
    assert found.words is not None
    assert found.projection is not None
    assert found.words.components == pytest.approx(expected.components, abs=1e-5)
    assert found.projection.components[:WORD_COMPONENTS] == pytest.approx(
        expected.components, abs=1e-5
    )


def test_fewer_components_are_the_first_ones() -> None:
    few = fit_text_projection(texts(), KEY, WORD_COMPONENTS)
    assert few is not None
    assert np.array_equal(few.components, fitted().components[:WORD_COMPONENTS])


@pytest.mark.parametrize(
    "make", [lambda: NO_TEXTS, lambda: Texts("main_cva.t", fitted(), fitted(texts(seed=5)))]
)
def test_examples_are_built_with_their_own_projection_never_the_deployed_models(
    shop: ResolvedShop,
    dbt_calls: DbtCalls,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], Texts],
) -> None:
    no_rows = Dataset(*(np.empty(0) for _ in range(3)), {}, {}, np.empty(0), np.empty(0), {})
    monkeypatch.setattr("cva_sql.models_onnx.value.data.dataset.read_dataset", lambda *_: no_rows)
    given_texts = make()
    dates = [(date(2025, 1, 1), 90)]
    build_examples(shop, dates, "cva_train", scored_on=[], max_rows=100, texts=given_texts)
    ((_, options),) = dbt_calls
    assert options["variables"]["cva_text_vectors"] == given_texts.vectors
    handed_over = read_projection(Path(options["environment"]["CVA_TEXT_PROJECTION"]))
    expected = given_texts.projection or empty_projection()
    assert handed_over.to_json() == expected.to_json()
    words = read_projection(Path(options["environment"]["CVA_WORDS_PROJECTION"]))
    assert words.to_json() == (given_texts.words or empty_projection()).to_json()
