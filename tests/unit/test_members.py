"""The contract of the ensemble's members: found in their folder, added up, alone or left out."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cva_sql.models_onnx.value import members
from cva_sql.models_onnx.value.backtesting.backtest import backtest, names_of_kinds
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import RULE_COLUMNS, Dataset
from cva_sql.models_onnx.value.members import registry
from cva_sql.models_onnx.value.members.registry import (
    ENSEMBLE,
    all_members,
    kinds,
    parts,
    weights,
)
from cva_sql.models_onnx.value.model.graph import build_model
from cva_sql.models_onnx.value.model.parity import check_parity
from cva_sql.models_onnx.value.training.choice import Choice
from cva_sql.models_onnx.value.training.fit import finish_model, fit_model
from cva_sql.models_onnx.value.training.manifest import build_manifest
from cva_sql.models_onnx.value.training.runs import training_entries

AS_OF = date(2025, 1, 1)
PLAN = Plan(AS_OF, 90, 90, tuple(AS_OF - timedelta(days=90 + 60 * k) for k in range(4)))
CUSTOMERS = 400
# All that a new member is, beside its test.
TOY = '''
"""A toy: spend goes on as it was, faded, times the square root of a taste."""
from __future__ import annotations
from dataclasses import dataclass
import numpy as np
from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.members.contract import Examples, FittedMember, Member, Rows
from cva_sql.models_onnx.value.preparation.graph import GraphRows


@dataclass(frozen=True)
class Toy(FittedMember):
    share: float

    def predict(self, rows: Rows) -> Floats:
        return rows.prepared.log_decayed + self.share * rows.number("taste")

    def write(self, graph: Graph, rows: GraphRows) -> str:
        taste = graph.op("Mul", rows.number("taste"), self.share)
        return graph.op("Add", rows.log_decayed, taste)


def fit(examples: Examples) -> Toy:
    assert len(examples.value) == len(examples.rows.number("taste"))
    return Toy(0.5)


MEMBER = Member(
    name="toy", place=70, weight={weight}, kind="toy", needs=("taste",), fit=fit,
    settings={{"share": 0.5}},
)
'''


@pytest.fixture
def add_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], ModuleType]]:
    """Writes a member's file into a second folder of the package."""

    def forget() -> None:
        all_members.cache_clear()
        weights.cache_clear()

    monkeypatch.setattr(members, "__path__", [*members.__path__, str(tmp_path)])
    names: list[str] = []

    def add(name: str, text: str) -> ModuleType:
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        names.append(f"{members.__name__}.{name}")
        importlib.invalidate_caches()
        forget()
        return registry

    yield add
    for name in names:
        sys.modules.pop(name, None)
    forget()


def make_examples() -> Dataset:
    """Customers with orders, whose spend rises with what they spent and with a taste."""
    random = np.random.default_rng(3)
    days = sorted((*PLAN.cutoffs, PLAN.as_of))
    rows = len(days) * CUSTOMERS
    taste = np.tile(random.normal(size=CUSTOMERS), len(days))
    decayed, bought = random.gamma(1.0, 40.0, rows), 1.0 + random.poisson(1.5, rows)
    t_days, mean = random.integers(100, 600, rows) * 1.0, random.gamma(4.0, 8.0, rows)
    orders = random.poisson(np.exp(0.5 * taste) * (0.1 + decayed / 200))
    numbers = {
        "taste": taste,
        "decayed_spend": decayed,
        "spend_horizon_1": np.where(bought > 1, decayed, 0.0),
        "historic_value": bought * mean,
        "order_days_count": bought,
        "frequency": bought - 1.0,
        "days_since_last_order": t_days * np.where(bought > 1, random.random(rows), 1.0),
        "t_days": t_days,
        "orders_count": bought,
        "monetary_value": np.where(bought > 1, mean, np.nan),
        "first_order_day_amount": mean,
        "order_max_amount": 1.5 * mean,
    }
    rules = {name: decayed for name in RULE_COLUMNS} | {
        "shop_spend_level": np.ones(rows),
        "shop_retention_rate": np.full(rows, 0.8),
        "shop_history_days": np.full(rows, 700.0),
    }
    return Dataset(
        customer_id=np.array([f"c{i % CUSTOMERS:03}" for i in range(rows)], dtype=object),
        as_of_date=np.repeat([np.datetime64(day, "D") for day in days], CUSTOMERS),
        label_days=np.full(rows, 90),
        numbers={name: column.astype(np.float32) for name, column in numbers.items()},
        categories={},
        label_value=orders * random.gamma(4.0, 8.0, rows),
        label_orders=orders * 1.0,
        rules=rules,
    )


def test_the_members_are_the_files_with_a_member_and_their_weights_add_up_to_one() -> None:
    folder = Path(members.__path__[0])
    declared = {path.stem for path in folder.glob("*.py") if "\nMEMBER = " in path.read_text()}
    assert {member.name for member in all_members()} == declared
    assert sum(member.weight for member in all_members()) == 1.0
    assert dict(weights(ENSEMBLE)) == {member.name: member.weight for member in all_members()}
    for kind in (*kinds(), *parts()):
        assert sum(weights(kind).values()) == pytest.approx(1, rel=1e-15)
    assert sum(parts().values()) == pytest.approx(1, rel=1e-15)


def test_no_module_names_a_member_but_its_own() -> None:
    """What loops over the registry need not be touched for a new one."""
    package = Path(members.__path__[0]).parents[1]
    own = {member.name for member in all_members()} - {"lightgbm", "mbgnbd"}
    for path in [*package.rglob("*.py"), *(package.parent / "cli").rglob("*.py")]:
        if path.parent.name == "members":
            continue
        text = path.read_text(encoding="utf-8")
        assert [name for name in own if f'"{name}"' in text] == [], path


def test_a_new_member_is_weighed_in_normalised_and_forms_its_kind(
    add_member: Callable[[str, str], ModuleType],
) -> None:
    add_member("toy", TOY.format(weight=0.25))
    assert kinds()[-2:] == ("toy", ENSEMBLE)
    assert weights(ENSEMBLE)["toy"] == pytest.approx(0.25 / 1.25)
    assert weights(ENSEMBLE)["mbgnbd"] == pytest.approx(0.2 / 1.25)
    assert weights("toy") == {"toy": 1.0}
    assert parts()["toy"] == pytest.approx(0.2)
    assert names_of_kinds()["toy"] == "toy"


@pytest.mark.parametrize("weight", [0.0, 0.25])
def test_a_new_member_scores_alone_and_in_the_ensemble_and_its_file_says_the_same(
    add_member: Callable[[str, str], ModuleType], weight: float
) -> None:
    add_member("toy", TOY.format(weight=weight))
    data = make_examples()
    fitting = fit_model(data, PLAN, lambda _: None)
    assert fitting.members is not None
    assert "toy" in fitting.folds[0].scores
    assert ("toy" in weights(ENSEMBLE)) == (weight > 0)
    now = data.seen_from(AS_OF)
    for kind in ("toy", ENSEMBLE):
        model = finish_model(fitting.learning, fitting.members, fitting.folds, kind)
        onnx = build_model(model)
        manifest = build_manifest(model, onnx, PLAN, fitting.choice, date(2023, 1, 1))
        assert check_parity(model, onnx, manifest, now).worst < 1e-6
        assert "taste" in [feature.name for feature in manifest.features]
    settings = training_entries(None, Choice(ENSEMBLE, False, "", {}, ()))
    assert ("toy", "share", 0.5) in [(e.model, e.name, e.value) for e in settings]


def test_a_new_member_is_in_the_back_test_and_its_ablation(
    add_member: Callable[[str, str], ModuleType],
) -> None:
    add_member("toy", TOY.format(weight=0.25))
    result = backtest(make_examples(), [PLAN], 0, lambda _: None, is_ablated=True)
    assert "toy" in result.metrics
    assert "toy" not in result.rules
    assert "member toy" in result.ablation
    assert result.ablation["member toy"]["ngini"].value != 0


def test_two_members_in_one_place_are_refused(
    add_member: Callable[[str, str], ModuleType],
) -> None:
    add_member("toy", TOY.format(weight=0.1).replace("place=70", "place=60"))
    with pytest.raises(ValueError, match="two members have one place"):
        all_members()


def test_a_member_whose_feature_is_missing_is_named(
    add_member: Callable[[str, str], ModuleType],
) -> None:
    add_member("toy", TOY.format(weight=0.1).replace('needs=("taste",)', 'needs=("mood",)'))
    with pytest.raises(ValueError, match="member toy needs feature mood"):
        fit_model(make_examples(), PLAN, lambda _: None)
