"""Each var that reaches SQL: what it may be, and the one line that refuses the rest."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cva_sql.cli.shop.package import project_dir

# One process parses the project once; a call of a macro then takes 50 ms.
CALL_ALL = """
import json, sys
from dbt.cli.main import dbtRunner
calls, options = json.load(sys.stdin), sys.argv[1:]
runner = dbtRunner(manifest=dbtRunner().invoke(["--quiet", "parse", *options]).result)
said = []
def listen(event):
    if event.info.level == "error":
        said.append(event.info.msg)
runner.callbacks.append(listen)
for macro, arguments, variables in calls:
    said.clear()
    runner.invoke(["--quiet", "run-operation", macro, "--args", json.dumps(arguments),
        "--vars", json.dumps(variables), *options])
    print("=>" + json.dumps("\\n".join(said)))
"""

FINE: dict[str, list[Any]] = {
    "cva_as_of": [None, "", "2025-12-31"],
    "cva_now": [None, "2024-06-01", "2024-06-01 00:00:00", "2024-06-01T00:00"],
    "cva_timezone": ["UTC", "Europe/Berlin", "Etc/GMT+5"],
    "cva_currency": [None, "EUR", "E'R"],
    "cva_horizon_days": [None, 1, 90],
    "cva_margin": [0, 0.3, 1],
    "cva_discount_rate": [0, 0.1],
    "cva_ticket_cost": [None, 0, 4.5],
    "cva_service_days": [1, 14],
    "cva_review_insights": [True, False],
    "cva_aspects": [{}, {"it's colour": ["It's red.", "Lovely red.", "红色很漂亮"]}],
    "cva_tier_shares": [[0.2, 0.3, 0.5], [0, 0, 1]],
    "cva_training_dates": [[], [["2024-01-01", 90]]],
    "cva_families_off": [[], ["reviews"]],
    "cva_feature_catalog_extra": [[], [{"name": "visits", "model": "my_visits"}]],
    "cva_status_counts": [[], ["on hold", "it's"]],
    "cva_alerts_per_week": [0, 50],
    "cva_models_kept": [0, 20],
    "cva_drift_psi_threshold": [0, 0.2],
    "cva_drift_blocking_share": [0.3, 2],
    "cva_retrain_days": [1, 90],
    "cva_alert_owners": [[], ["Ann", "O'Neil"]],
    "cva_value": ["gross", "net"],
    "cva_target": ["spend", "margin", "orders", "labels"],
    "cva_udfs": [True, False],
    "cva_text_vectors": [None, "main_cva.int_cva__text_vectors"],
    "cva_image_vectors": [None, "main_cva.cva_image_vectors"],
}
REFUSED: dict[str, list[tuple[Any, str]]] = {
    "cva_as_of": [
        ("2025-12-31' or true --", "is '2025-12-31' or true --'; expected a date like 2025-12-31"),
        ("31.12.2025", "expected a date"),
        ("2025-12-31\n", "expected a date"),
        (5, "is 5; expected a date"),
    ],
    "cva_now": [("2024-06-01'", "expected a time like"), ("2024-06-01 9:00", "expected a time")],
    "cva_timezone": [
        ("Mars/Olympus", "is 'Mars/Olympus'; expected a name like Europe/Berlin"),
        ("UTC'", "expected a name like"),
        (None, "is None; expected a name"),
    ],
    "cva_currency": [(["EUR"], "expected a text like EUR")],
    "cva_horizon_days": [("90", "is '90'; expected a whole number"), (0, "from 1 to"), (True, "")],
    "cva_clv_days": [(1e9, "from 1 to"), ("1); drop table x", "expected a whole number")],
    "cva_margin": [("0.3", "expected a number"), (-1, ""), (True, ""), (math.inf, "")],
    "cva_discount_rate": [(math.nan, "expected a number from 0 on")],
    "cva_ticket_cost": [("4", "is '4'; expected a number from 0 on"), (-1, "")],
    "cva_service_days": [(0, "expected a whole number of days from 1 to 36500")],
    "cva_review_insights": [("yes", "is 'yes'; expected true or false")],
    "cva_aspects": [
        (["colour"], "is ['colour']; expected aspects with phrases, e.g. {colour: "),
        ({"colour": ["It is red.", "It faded."]}, "expected a name with three phrases or more"),
        ({"colour": "It is red."}, "expected a name with three phrases"),
        ({"colour": ["a", "b", "!?"]}, "expected a name with three phrases"),
        ({"colour": ["a", "b", 3]}, "expected a name with three phrases"),
        ({"colour": ["a", "b", "c\\' or 1 = 1 --"]}, "expected a name with three phrases"),
        ({"other": ["a", "b", "c"]}, "expected a name with three phrases"),
        ({"a\nb": ["a", "b", "c"]}, "expected a name with three phrases"),
    ],
    "cva_tier_shares": [([0.2, 0.8], "three shares"), ([0.2, 0.3, "0.5)"], ""), (3, ""), ("", "")],
    "cva_training_dates": [
        ([["2024'", 90]], "dates and days"),
        ([["2024-01-01", "1"]], ""),
        ([3], ""),
    ],
    "cva_alerts_per_week": [
        ("5", "is '5'; expected a whole number from 0 on"),
        (-1, ""),
        (True, ""),
    ],
    "cva_models_kept": [(-1, "expected a whole number from 0 on")],
    "cva_drift_l_infinity_threshold": [("0.3", "expected a number from 0 on")],
    "cva_retrain_days": [(0, "expected a whole number of days from 1 to 36500")],
    "cva_alert_owners": [("Ann", "is 'Ann'; expected a list of names"), ([3], "")],
    "cva_training_max_rows": [("5 or 1 = 1", "expected a whole number")],
    "cva_families_off": [("reviews", "is 'reviews'; expected a list of families"), (None, "")],
    "cva_feature_catalog_extra": [(["visits"], "expected a list of catalogue lines")],
    "cva_status_cancelled": [
        ("pending", "is 'pending'; expected a list of statuses"),
        ([3], ""),
    ],
    "cva_value": [("Net", "is 'Net'; expected gross or net")],
    "cva_spine": [("past", "expected scoring or training")],
    "cva_udfs": [("false", "is 'false'; expected true or false")],
    "cva_text_vectors": [("x; drop table y", "expected a relation like")],
    "cva_image_vectors": [("x; drop table y", "expected a relation like")],
}
OTHERS: list[tuple[str, dict[str, Any], str | None]] = [
    ("checked_expression", {"text": "a + 1", "name": "v"}, None),
    ("checked_expression", {"text": "a -- what it is", "name": "v"}, None),
    ("checked_expression", {"text": 3, "name": "v"}, None),
    ("checked_expression", {"text": None, "name": "v"}, "v is not one expression"),
    ("checked_expression", {"text": "it's", "name": "v"}, "'it's': unterminated"),
    ("checked_expression", {"text": "(select 1)", "name": "v"}, "it holds a subquery"),
    ("checked_expression", {"text": "1) from x --", "name": "v"}, "v is not one expression"),
    (
        "checked_expression",
        {"text": "cva_embed(a)", "name": "v"},
        "not a function that may be used here",
    ),
    ("checked_name", {"value": "Sales – 2024 é", "what": "v"}, None),
    ("checked_name", {"value": 'a"."b', "what": "v"}, "expected a name without quotes"),
    ("checked_name", {"value": "a' or true --", "what": "v"}, "expected a name without quotes"),
    ("checked_name", {"value": "", "what": "v"}, "expected a name without quotes"),
    ("checked_plain_name", {"value": "visits_30d", "what": "v"}, None),
    ("checked_plain_name", {"value": "visits, 1", "what": "v"}, "letters, digits and _"),
]
LINE = {"name": "visits", "model": "my_visits"}
CATALOGUE: list[tuple[dict[str, Any], str | None]] = [
    ({"cva_families_off": ["reviews"], "cva_use_demographics": True}, None),
    ({"cva_families_off": ["shop"]}, "`purchases` and `shop` cannot be switched off"),
    ({"cva_feature_catalog_extra": [{**LINE, "sentence": "came {value} time[s]"}]}, None),
    ({"cva_feature_catalog_extra": [{**LINE, "reason_family": "browsing"}]}, None),
    (
        {"cva_feature_catalog_extra": [{**LINE, "reason_family": "luck"}]},
        "expected browsing, marketing, own, frequency, recency, spend, reviews, words, attributes",
    ),
    ({"cva_feature_catalog_extra": [{**LINE, "direction": 2}]}, "expected -1, 0 or 1"),
    ({"cva_feature_catalog_extra": [{**LINE, "zero_zh": 3}]}, "zero_zh is 3; expected a sentence"),
    ({"cva_feature_catalog_extra": [{**LINE, "by_itself": "fades"}]}, None),
    (
        {"cva_feature_catalog_extra": [{**LINE, "by_itself": "rots"}]},
        "by_itself is 'rots'; expected grows or fades",
    ),
]
CALLS: list[tuple[str, dict[str, Any], dict[str, Any], str | None]] = [
    *(("setting", {"name": n}, {n: value}, None) for n in FINE for value in FINE[n]),
    *(("setting", {"name": n}, {n: value}, text) for n in REFUSED for value, text in REFUSED[n]),
    *((macro, arguments, {}, text) for macro, arguments, text in OTHERS),
    *(("features_on", {}, variables, text) for variables, text in CATALOGUE),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """dbt's error for each of CALLS, '' where there is none."""
    folder: Path = tmp_path_factory.mktemp("settings")
    options = ["--project-dir", str(project_dir()), "--profiles-dir", str(project_dir())]
    options += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    done = subprocess.run(
        [sys.executable, "-c", CALL_ALL, *options],
        input=json.dumps([call[:3] for call in CALLS]),
        env={**os.environ, "CVA_DB": str(folder / "shop.duckdb")},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("=>")]
    return [json.loads(line.removeprefix("=>")) for line in lines]


def test_what_a_var_may_be_is_let_through(said: list[str]) -> None:
    fine = [(call[:3], text) for call, text in zip(CALLS, said, strict=True) if call[3] is None]
    assert [item for item in fine if item[1]] == []


def test_what_a_var_may_not_be_is_refused_in_one_line(said: list[str]) -> None:
    for (macro, arguments, variables, expected), text in zip(CALLS, said, strict=True):
        if expected is None:
            continue
        name = arguments.get("name") or arguments.get("what") or next(iter(variables))
        said_of = re.compile(rf" {name}(: \w+)? is ")
        (line,) = (line.strip() for line in text.splitlines() if said_of.search(line))
        assert expected in line, (macro, arguments, variables)


def test_every_var_is_read_through_setting_or_a_check() -> None:
    """A `var(…)` elsewhere could bring text into SQL; in config() it only turns a model on."""
    checked = r"checked_(name|expression)\(|config\(|set mapped = |'cva_side_schema'"
    unchecked = [
        f"{path.name}: {line.strip()}"
        for folder in ("macros", "models")
        for path in (project_dir() / folder).rglob("*.sql")
        if path.name not in ("setting.sql", "version.sql")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\bvar\(", line) and not re.search(checked, line)
    ]
    assert unchecked == []
