"""`cva explain`, what-if, and the reasons in words: they say what the attributions say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from cva_sql.cli.explain.explanation import parse_changes
from cva_sql.cli.explain.sentences import read_sentences
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.udfs.changes import change_input
from cva_sql.udfs.errors import ModelError, UsageError
from cva_sql.udfs.register import register, unregister

MONEY = re.compile(r"^(?P<said>.+): (?P<money>[+-][\d,.]+)$")
SEVERAL = "several features together"


@pytest.fixture(scope="module")
def customer(sample_shop: Any, rows: Any) -> str:
    """The customer that most is expected of."""
    query = "select customer_id from customer_value order by predicted_value desc limit 1"
    return str(rows(sample_shop.db, query)[0][0])


def test_a_customer_is_explained_in_money_that_adds_up(
    sample_shop: Any, cva: Any, customer: str, rows: Any
) -> None:
    done = cva("explain", customer, "--db", sample_shop.db, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    families = sum(family["attribution"] for family in found["families"])
    assert found["baseline_prediction_value"] + families == pytest.approx(
        found["figures"]["predicted_value"]
    )
    for family in found["families"]:
        features = sum(feature["attribution"] for feature in family["features"])
        assert features == pytest.approx(family["attribution"], abs=1e-9)
    ((score, predicted, reason),) = rows(
        sample_shop.db,
        "select score, predicted_value, reason_1 from customer_value "
        f"where customer_id = '{customer}'",
    )
    assert (found["score"], found["figures"]["predicted_value"]) == (score, predicted)
    assert found["reasons"][0] == reason
    assert found["changed"] is None
    # Features are listed in the words of the reasons.
    listed = {f["sentence"] for family in found["families"] for f in family["features"]}
    said = {MONEY.fullmatch(text)["said"] for text in found["reasons"]}  # type: ignore[index]
    assert said - {SEVERAL} <= listed


def test_a_person_reads_reasons_and_that_they_are_no_causes(
    sample_shop: Any, cva: Any, customer: str
) -> None:
    done = cva("explain", customer, "--db", sample_shop.db, "--set", "orders_90d_count=+1")
    assert done.returncode == 0, done.stderr
    assert f"customer {customer} as of 2026-01-01" in done.stdout
    assert "the shop's typical customer" in done.stdout
    assert "They are not causes." in done.stdout
    assert "with orders_90d_count +1:" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 130


def test_a_change_is_predicted_as_if_the_table_had_it(
    sample_shop: Any, cva: Any, customer: str
) -> None:
    changes = ["--set", "spend_90d=*2", "--set", "orders_90d_count=+1"]
    done = cva("explain", customer, "--db", sample_shop.db, "--json", *changes)
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(sample_shop.db), read_only=True) as con:
        register(con, models_dir=sample_shop.models_dir)
        ((expected,),) = con.execute(
            "select (cva_predict(f)).predicted_value from (select * replace (2 * spend_90d as "
            "spend_90d, orders_90d_count + 1 as orders_90d_count) "
            "from customer_features where customer_id = ?) as f",
            [customer],
        ).fetchall()
        unregister(con)
    changed = json.loads(done.stdout)["changed"]
    assert changed["figures"]["predicted_value"] == pytest.approx(expected, rel=1e-6)  # float32
    assert changed["unknown"] == {}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nobody"], 1, "customer 'nobody' is not among the"),
        (["{customer}", "--set", "ordrs_90d_count=1"], 1, "nearest: orders_90d_count"),
        (["{customer}", "--set", "spend_90d=much"], 1, "expected +1 or -1 to add"),
        (["{customer}", "--set", "spend_90d=1e999"], 1, "expected +1 or -1 to add"),
        (["{customer}", "--set", "spend_90d"], 2, "expected e.g. --set orders_90d_count=+1"),
        (["--set", "spend_90d=1"], 2, "--set needs a customer"),
    ],
)
def test_what_cannot_be_explained_is_said_in_one_line(
    sample_shop: Any, cva: Any, customer: str, arguments: list[str], code: int, said: str
) -> None:
    named = [text.format(customer=customer) for text in arguments]
    done = cva("explain", *named, "--db", sample_shop.db)
    assert done.returncode == code
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert said in line


def test_changes_are_read_by_their_first_sign() -> None:
    assert parse_changes(["a=+1", "b = x=y"]) == {"a": "+1", "b": "x=y"}
    for texts in (["a"], ["=1"], ["a="], ["a=1", "a=2"]):
        with pytest.raises(UsageError):
            parse_changes(texts)
    values = np.array([[2.0], [np.nan]], dtype=np.float32)
    cases = {"+1": [3.0, 1.0], "-1": [1.0, -1.0], "*3": [6.0, np.nan], "7": [7.0, 7.0]}
    cases |= {"NULL": [np.nan, np.nan], "=-2": [-2.0, -2.0]}
    for text, expected in cases.items():
        assert np.array_equal(
            change_input(values, "a", text).reshape(-1), expected, equal_nan=True
        ), text
    with pytest.raises(ModelError, match="too large"):
        change_input(values, "a", "1e300")
    countries = np.array([["DE"], [""]], dtype=object)
    assert change_input(countries, "country", "FR").tolist() == [["FR"], ["FR"]]
    assert change_input(countries, "country", "null").tolist() == [[""], [""]]
    for text in ("++1", "x", "nan", "inf", "", "*"):
        with pytest.raises(ModelError, match="cannot be taken"):
            change_input(values, "a", text)


def test_a_scenario_compares_every_customer(sample_shop: Any, rows: Any) -> None:
    with duckdb.connect(str(sample_shop.db), read_only=True) as con:
        register(con, models_dir=sample_shop.models_dir)
        scenario = con.execute(
            "from cva_scenario('main.customer_features', {'orders_90d_count': '+1'}) order by all"
        ).fetchnumpy()
        number = con.execute(
            "select sum(difference) from cva_scenario('customer_features', {'spend_90d': 0})"
        ).fetchall()
        none = con.execute(
            "select max(abs(difference)) from "
            "cva_scenario('customer_features', {'spend_90d': null::varchar})"
        ).fetchall()
        with pytest.raises(duckdb.Error, match="`nothing` is no feature"):
            con.execute("from cva_scenario('customer_features', {'nothing': '1'})").fetchall()
        unregister(con)
    want = rows(sample_shop.db, "select predicted_value from customer_value order by customer_id")
    assert scenario["predicted_value"].tolist() == [value for (value,) in want]
    difference = scenario["changed_predicted_value"] - scenario["predicted_value"]
    assert np.array_equal(scenario["difference"], difference)
    assert np.abs(difference).max() > 0
    assert number[0][0] != 0
    assert none == [(0.0,)]


REASONS = """
select value.customer_id, reason_1, reason_2, reason_3
from customer_value as value order by customer_id
"""


def test_reasons_say_what_the_attributions_say(sample_shop: Any, rows: Any) -> None:
    families: dict[str, list[tuple[float, str]]] = {}
    for customer, family, money in rows(
        sample_shop.db,
        "select distinct customer_id, family, family_attribution from customer_value_explain",
    ):
        families.setdefault(customer, []).append((money, family))
    told = 0
    for customer, *reasons in rows(sample_shop.db, REASONS):
        given = [reason for reason in reasons if reason is not None]
        assert reasons == given + [None] * (3 - len(given))
        ranked = sorted(families[customer], key=lambda item: (-abs(item[0]), item[1]))
        for reason, (money, family) in zip(given, ranked, strict=False):
            match = MONEY.search(reason)
            assert match, reason
            shown = float(match["money"].replace(",", ""))
            assert shown == pytest.approx(money, abs=0.51 if abs(money) >= 99.5 else 0.0051)
            assert shown != 0
            assert np.sign(shown) == np.sign(money)
            assert not match["said"].endswith(family)
            told += 1
        assert len(given) == min(3, sum(abs(money) >= 0.005 for money, _ in ranked))
    assert told > 2 * sample_shop.run.customers


def test_no_reason_names_a_feature_without_effect_or_against_its_direction(
    sample_shop: Any, rows: Any
) -> None:
    shop = open_shop(sample_shop.db)
    with duckdb.connect(str(sample_shop.db), read_only=True) as con:
        sentences = read_sentences(con, shop, is_baseline=False)
    said: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for customer, feature, value, reference, *rest in rows(
        sample_shop.db,
        "select customer_id, feature, value, reference_value, catalog.direction, attribution, "
        "family_attribution from customer_value_explain "
        "join main_cva.cva_feature_catalog as catalog using (feature)",
    ):
        sentence = sentences.say(feature, value, reference)
        said.setdefault((customer, sentence), []).append((value, reference, *rest))
    named = 0
    for customer, *reasons in rows(sample_shop.db, REASONS):
        for match in (MONEY.fullmatch(reason) for reason in reasons if reason is not None):
            assert match
            if match["said"] == SEVERAL:
                continue
            # Two windows may be one sentence, as the last 90 days and the last horizon are.
            assert any(speaks_for_its_family(*line) for line in said[customer, match["said"]])
            named += 1
    assert named > 0.8 * 2 * sample_shop.run.customers


def speaks_for_its_family(
    value: str | None,
    reference: str | None,
    direction: int,
    attribution: float,
    family_attribution: float,
) -> bool:
    """Whether a feature has an effect, in its family's direction and in its own."""
    if not attribution * family_attribution > 0:
        return False
    if not direction or value is None or reference is None:
        return True
    return (float(value) - float(reference)) * direction * attribution > 0


CATEGORY = re.compile("：[a-z_]+（多数为 [a-z_]+）")  # as the shop's own table has it


def test_the_most_valuable_are_explained_first_and_zeros_may_be_left_out(
    sample_shop: Any, rows: Any, cva: Any, tmp_path: Path
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    who = "select distinct customer_id from customer_value_explain order by customer_id"
    best = "select customer_id from customer_value order by predicted_value desc, customer_id limit"
    means = "select level, family, feature, customers_count, mean_absolute_attribution, rank from "
    variables = {"cva_explained_customers": 40, "cva_zero_attributions": True}
    select = ["int_cva__customer_explanations+"]
    found = []
    for zeros in (True, False):
        variables["cva_zero_attributions"] = zeros
        run_dbt(open_shop(db), "run", select=select, variables=variables)
        assert rows(db, who) == sorted(rows(db, f"{best} 40"))
        nothing = rows(db, "select count(*) from customer_value_explain where attribution = 0")
        assert (nothing[0][0] > 0) == zeros
        off = rows(
            db,
            "select count(*) from (select customer_id, sum(attribution) as moved, "
            "min(predicted_value - baseline_prediction_value) as whole from customer_value_explain "
            "group by customer_id) where abs(moved - whole) > 1e-6 * greatest(abs(whole), 1)",
        )
        assert off == [(0,)]
        found.append(rows(db, f"{means} cva_feature_importance where rank <= 10 order by all"))
    assert found[0] == found[1]
    assert {line[3] for line in found[0]} == {40}
    done = cva("explain", "--db", db, "--vars", '{"cva_explained_customers": 3}')
    assert ": 3 customers explained" in done.stdout, done.stderr


def test_reasons_in_chinese_and_for_some_customers_only(
    sample_shop: Any, rows: Any, tmp_path: Path
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    variables = {"cva_language": "zh", "cva_explained_customers": "orders_count > 1"}
    run_dbt(
        open_shop(db),
        "run",
        select=["int_cva__customer_explanations+"],
        variables=variables,
    )
    found = rows(
        db,
        "select f.orders_count > 1, reason_1 from customer_value join customer_features as f "
        "using (customer_id) order by customer_id",
    )
    assert all((reason is not None) <= many for many, reason in found)
    texts = [reason for many, reason in found if many]
    assert None not in texts
    assert all(re.search(r"：[+-][\d,.]+$", text) for text in texts)
    assert any("（通常为 " in text for text in texts)
    assert [text for text in texts if re.search(r"[a-z]", CATEGORY.sub("", text))] == []
    explained = rows(db, "select count(distinct customer_id) from customer_value_explain")
    assert explained == [(sum(many for many, _ in found),)]


# What only dbt writes: by what explanations are kept.
WITHOUT = " exclude (explained_as_of, explained_value, inputs_key, lasting_key)"


def test_the_command_fills_the_table_that_dbt_would(
    sample_shop: Any, cva: Any, rows: Any, tmp_path: Path
) -> None:
    query = f"select *{WITHOUT} from main_cva.int_cva__customer_explanations order by customer_id"
    db = sample_shop.copy_to(tmp_path / "shop")
    before = rows(db, query)
    with duckdb.connect(str(db)) as con:
        con.execute("drop table main_cva.int_cva__customer_explanations")
    shop = open_shop(db)
    run_dbt(shop, "run", select=["int_cva__customer_explanations+"], variables={"cva_udfs": False})
    assert rows(db, "select count(*), count(reason_1) from customer_value")[0][1] == 0
    done = cva("explain", "--db", db)
    assert done.returncode == 0, done.stderr
    assert f"{len(before):,} customers explained" in done.stdout
    assert rows(db, query.replace(WITHOUT, "")) == before
    run_dbt(shop, "run", select=["int_cva__customer_explanations+"], variables={"cva_udfs": False})
    assert rows(db, REASONS) == rows(sample_shop.db, REASONS)


def test_importance_is_the_mean_of_what_is_told_of_customers(sample_shop: Any, rows: Any) -> None:
    found = rows(
        sample_shop.db,
        "select level, family, feature, mean_absolute_attribution, "
        "mean_absolute_attribution_lower, mean_absolute_attribution_upper, rank "
        "from cva_feature_importance order by level, rank",
    )
    means = dict(
        rows(
            sample_shop.db,
            "select feature, avg(abs(attribution)) from customer_value_explain group by 1",
        )
    )
    assert {row[0] for row in found} == {"family", "feature"}
    for level in ("family", "feature"):
        of_level = [row for row in found if row[0] == level]
        assert [row[6] for row in of_level] == list(range(1, len(of_level) + 1))
        sizes = [row[3] for row in of_level]
        assert sizes == sorted(sizes, reverse=True)
    for level, _, feature, mean, lower, upper, _ in found:
        assert 0 <= lower <= mean <= upper
        assert (feature is None) == (level == "family")
        if feature is not None:
            assert mean == pytest.approx(means[feature], abs=1e-6)  # six digits of money are kept


def test_a_customer_is_explained_while_others_read_the_database(
    sample_shop: Any, cva: Any, customer: str
) -> None:
    with duckdb.connect(str(sample_shop.db), read_only=True):
        done = cva("explain", customer, "--db", sample_shop.db)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "chosen", ["", "customer_id in (select customer_id from customer_value)", "true); drop"]
)
def test_who_is_explained_is_checked_as_dbt_does(sample_shop: Any, cva: Any, chosen: str) -> None:
    variables = json.dumps({"cva_explained_customers": chosen})
    done = cva("explain", "--db", sample_shop.db, "--vars", variables)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "cva_explained_customers is not one expression" in line


TOLD = """
select explain.customer_id, explain.family, feature,
    [catalog.reason_template, catalog.reason_template_zero, catalog.reason_template_one,
        catalog.reason_template_none],
    explain.value, reference_value, attribution, family_attribution, catalog.direction,
    catalog.kind, is_reason, catalog.unit
from customer_value_explain as explain
join main_cva.cva_feature_catalog as catalog using (feature)
order by explain.customer_id, abs(family_attribution) desc, explain.family, rank
"""


def may_speak(row: tuple[Any, ...]) -> bool:
    """Whether a line of TOLD may be named as the reason of its family."""
    _, _, _, _, value, reference, money, family, direction, kind, is_reason, _ = row
    if not is_reason or not money * family > 0 or abs(money) < 0.2 * abs(family):
        return False
    if not direction or kind == "category":
        return True
    if value is None or reference is None:
        return False
    return bool((float(value) - float(reference)) * direction * money > 0)


# How far a number in a reason may be from the value, by unit: half of its last digit.
ROUNDED = {"days": 0.5, "years": 0.5, "rate": 0.5, "count": 0.05, "money": 0.005, "ratio": 0.005}


def check_words(reason: str, row: tuple[Any, ...]) -> None:
    """Fails where a reason does not say feature, values and money of a line of TOLD."""
    _, _, _, (many, zero, one, none), value, typical, *_, unit = row
    template = {"0": zero, "1": one, None: none}.get(value, many)
    if unit in ("count", "days") and value is not None and f"{float(value):.1f}" == "1.0":
        template = one  # 1.02 orders are written as 1
    texts = re.escape(template).replace(r"\{value\}", "(?P<value>.+)")
    texts = texts.replace(r"\{typical\}", "(?P<typical>.+)")
    match = re.fullmatch(f"{texts}: [+-][0-9.,]+", reason)
    assert match, (reason, template)
    for part, known in {"value": value, "typical": typical}.items():
        shown = match.groupdict().get(part)
        if shown is None:
            assert part == "value" or value is None, reason
        elif known is None:
            assert shown == "none", reason
        elif unit in ROUNDED:
            number = float(shown.removesuffix("%").replace(",", ""))
            scale = 100 if unit == "rate" else 1
            assert number == pytest.approx(scale * float(known), abs=ROUNDED[unit] + 1e-9), reason


def test_a_family_is_told_by_the_feature_that_moved_it_most_in_its_direction(
    sample_shop: Any, rows: Any
) -> None:
    expected: dict[str, dict[str, tuple[Any, ...] | None]] = {}
    for row in rows(sample_shop.db, TOLD):
        family = expected.setdefault(row[0], {})
        if abs(row[7]) >= 0.005 and family.setdefault(row[1], None) is None and may_speak(row):
            family[row[1]] = row
    units, unnamed = set(), 0
    for customer, *reasons in rows(sample_shop.db, REASONS):
        given = [reason for reason in reasons if reason is not None]
        wanted = list(expected.get(customer, {}).values())[:3]
        assert len(given) == len(wanted)
        for reason, speaker in zip(given, wanted, strict=True):
            if speaker is None:
                assert reason.startswith(f"{SEVERAL}: ")
                unnamed += 1
                continue
            check_words(reason, speaker)
            units.add(speaker[-1])
    assert units >= {"days", "money", "count"}
    assert unnamed < 0.2 * 3 * sample_shop.run.customers
