"""Whose a table or macro is, and what a run does where recommendations fail."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.run import build, recommendations
from cva_sql.cli.run.recommendations import (
    TABLES,
    _drop_macro,
    _write_macro,
    check_names,
    made_tables,
)
from cva_sql.udfs.errors import CvaError, ModelError, UsageError

from .built import built

OWN_MACRO = "create macro cva_recommend(x) as table select 1 as mine"


def make_tables(con: duckdb.DuckDBPyConnection) -> None:
    for name, (_, columns) in TABLES.items():
        told = ", ".join(f"{column} {kind}" for column, (kind, _) in columns.items())
        con.execute(f"create table {name} ({told})")
        con.execute(f"comment on table {name} is 'Made by cva: so it says'")


def test_a_comment_of_the_users_leaves_a_table_ours() -> None:
    with duckdb.connect() as con:
        make_tables(con)
        con.execute("comment on table recommendations is 'for the newsletter'")
        con.execute("comment on table similar_products is null")
        assert made_tables(con, "main") == list(TABLES)
        check_names(con, "main")
        con.execute("alter table recommendations add column mine int")
        assert made_tables(con, "main") == list(TABLES)[1:]
        with pytest.raises(CvaError, match="recommendations is not cva's"):
            check_names(con, "main")


def test_a_macro_of_the_users_is_refused_and_stays() -> None:
    with duckdb.connect() as con:
        con.execute(OWN_MACRO)
        with pytest.raises(CvaError, match=r"main\.cva_recommend is a macro that is not cva's"):
            check_names(con, "main")
        _drop_macro(con, "main")
        assert con.execute("from cva_recommend(3)").fetchall() == [(1,)]


def test_a_macro_of_ours_is_made_anew_and_dropped() -> None:
    with duckdb.connect() as con:
        make_tables(con)
        _write_macro(con, "main")
        check_names(con, "main")
        _write_macro(con, "main")
        assert con.execute("from cva_recommend(['a'])").fetchall() == []
        _drop_macro(con, "main")
        with pytest.raises(duckdb.Error, match="cva_recommend"):
            con.execute("from cva_recommend(['a'])")


@pytest.fixture
def _deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cva_sql.cli.shop.model_store.deployed_version", lambda *_: "v1")


@pytest.mark.usefixtures("_deployed")
def test_a_recommender_that_fails_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ModelError("v1 reads other columns")

    shop = built(tmp_path / "shop.duckdb", [("in", "1", "a")])
    monkeypatch.setattr(recommendations, "fill_recommendations", fail)
    (note,) = build._recommend(shop)
    assert note.startswith("recommendations are those of before: v1 reads other columns; learn")
    assert note.endswith(f"cva recommend --db {shop.db}")


@pytest.mark.usefixtures("_deployed")
@pytest.mark.parametrize(
    ("variables", "more", "said"),
    [
        ("{cva_recommendations_per_customer: 0}", "", "expected a whole number"),
        ("{cva_recommended_products: 'a b c'}", "", "not one expression"),
        ("{}", OWN_MACRO, "cva_recommend is a macro that is not cva's"),
        ("{}", "create table recommendations as select 1 as x", "recommendations is not cva's"),
    ],
)
def test_what_no_lists_can_be_made_with_is_said_before_the_build(
    tmp_path: Path, variables: str, more: str, said: str
) -> None:
    shop = built(tmp_path / "shop.duckdb", [("in", "1", "a")], more, variables)
    with pytest.raises((CvaError, UsageError), match=said):
        build._check_recommending(shop)
