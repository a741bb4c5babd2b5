"""Networks as torch fits them, in an environment with the extra `train`; a missing torch fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

import duckdb
import numpy as np
import optuna
import pytest
import tensorboard
import torch

from cva_sql import Shop
from cva_sql.cli.demo.sample_shop import write_shop
from cva_sql.cli.load.table import load_table
from cva_sql.cli.train.tensorboard import write_curves
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.preprocessing import Preprocessing
from cva_sql.models_onnx.value.data.terms import Terms
from cva_sql.models_onnx.value.estimators.curves import CurvePoint
from cva_sql.models_onnx.value.members.networks import sequence
from cva_sql.models_onnx.value.members.registry import ENSEMBLE, network_names
from cva_sql.models_onnx.value.model.graph import build_model
from cva_sql.models_onnx.value.training.fit import Fitting, fit_model
from cva_sql.models_onnx.value.training.tuning import tune
from tests.unit.test_members import AS_OF, PLAN, make_examples
from tests.unit.test_networks import with_sequences

assert optuna
assert tensorboard
QUICK = {name: {"epochs": 6, "patience": 2} for name in network_names()}
for name in ("ziln_net", "sequence_net"):
    QUICK[name] |= {"networks": 1}


@lru_cache
def learned(seed: int = 7) -> Fitting:
    settings = {name: {**given, "seed": seed} for name, given in QUICK.items()}
    return fit_model(asked(make_examples(), settings), PLAN, lambda _: None, "ziln_net")


def asked(data: Dataset, settings: dict[str, dict[str, int]]) -> Dataset:
    return with_sequences(data).under(Terms(networks=network_names(), settings=settings))


def test_the_same_seed_gives_the_same_file_and_another_seed_another() -> None:
    first = learned()
    learned.cache_clear()
    torch.rand(7)  # what else was drawn does not matter
    torch.set_num_threads(1)
    second = learned()
    assert first.model is not None
    assert second.model is not None
    assert build_model(first.model) == build_model(second.model)
    other = learned(8).model
    assert other is not None
    assert build_model(other) != build_model(first.model)


def test_training_leaves_torch_as_it_was() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    learned.cache_clear()
    learned()
    assert torch.equal(torch.rand(4), expected)


def test_a_network_learns_what_there_is_to_learn() -> None:
    scores = learned().choice.scores
    assert scores["ziln_net"]["d2_shape"] > scores["mbgnbd"]["d2_shape"] + 0.02
    assert scores["sequence_net"]["d2_shape"] > scores["mbgnbd"]["d2_shape"] + 0.02
    assert set(network_names()) <= {point.model for point in learned().choice.curves}


def test_what_comes_next_is_learned_without_labels() -> None:
    data = with_sequences(make_examples())
    names = [name for name in data.numbers if name.startswith("order_day_")]
    beside = Preprocessing((), (), tuple(names)).beside_of(data.numbers)
    steps, there = sequence.steps_of(beside, 25.0)
    module = sequence._modules(3, [8], 0.0, 16)
    losses = sequence.pretrain(module, steps, there, 12, seed=1)
    assert losses[-1] < 0.8 * losses[0]
    assert sequence.pretrain(module, steps, 0.0 * there, 12, seed=1) == []
    assert sequence.pretrain(module, steps, there, 0, seed=1) == []


def test_a_network_that_learned_from_shuffled_labels_is_refused() -> None:
    """It is told of the same customers what others did, and must neither win nor join."""
    data = asked(make_examples(), QUICK)
    shuffled = data.label_value.copy()
    random = np.random.default_rng(1)
    for day in np.unique(data.as_of_date):
        rows = np.flatnonzero(data.as_of_date == day)
        shuffled[rows] = shuffled[random.permutation(rows)]
    found = fit_model(replace(data, label_value=shuffled), PLAN, lambda _: None)
    assert found.members is not None
    assert not found.members.joined
    assert found.choice.kind not in network_names()
    for name in network_names():
        assert found.choice.scores[name]["ngini"] < 0.3


def test_better_settings_are_looked_for_and_what_is_no_better_is_left() -> None:
    plan = Plan(AS_OF, 90, 90, tuple(AS_OF - timedelta(days=90 + 60 * k) for k in range(7)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.unit.test_members.PLAN", plan)
        data = make_examples()
    bad = {"lightgbm": {"rounds": 1, "seed": 3}}
    said: list[str] = []
    found = tune(data.under(Terms(settings=bad)), plan, 0.2, said.append)
    by_member = {one.member: one for one in found}
    assert set(by_member) == {"glm_offset", "glm_plain", "lightgbm", "hurdle"}
    trees = by_member["lightgbm"]
    assert trees.best > trees.default + 0.001
    assert trees.settings["rounds"] > 1
    assert trees.settings["seed"] == 3  # not searched
    assert all(one.best >= one.default for one in found)
    assert len(said) == len(found)
    few = replace(plan, cutoffs=plan.cutoffs[:4])
    assert tune(data, few, 0.1, said.append) == []


def test_curves_are_written_for_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    points = [CurvePoint("ziln_net", n, 2.0 ** (1 - n)) for n in (1, 2, 3)]
    write_curves(tmp_path, "v1", points)
    write_curves(tmp_path, "v2", points)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v1", "v2"]
    read = EventAccumulator(str(tmp_path / "v1"))
    read.Reload()
    scalars = read.Scalars("ziln_net/negative_log_likelihood")
    assert [(one.step, one.value) for one in scalars] == [
        (1, 1.0),
        (2, 0.5),
        (3, 0.25),
    ]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    write_shop(folder / "files", customers=800)
    load_table("orders", [folder / "files" / "orders.csv"], db=folder / "shop.duckdb")
    return folder / "shop.duckdb"


ASKED = {"cva_networks": True, "cva_member_settings": QUICK, "cva_use_sequences": True}


@pytest.mark.parametrize("kind", ["ziln_net", "sequence_net"])
def test_a_deployed_network_scores_and_is_explained_without_torch(
    shop: Path, tmp_path: Path, kind: str
) -> None:
    trained = Shop(shop, vars=ASKED).train(deploy=kind, tensorboard=tmp_path / "board")
    assert trained.version is not None
    assert kind in trained.version
    assert trained.parity is not None
    assert trained.parity < 1e-9
    assert [path.name for path in (tmp_path / "board").iterdir()] == [trained.version]
    script = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from cva_sql import Shop\n"
        f"Shop({str(shop)!r}, vars={{'cva_use_sequences': True}}).run()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=600)
    with duckdb.connect(str(shop), read_only=True) as con:
        rows = con.execute(
            "select model_version, count(*), count(reason_1) from main.customer_value group by all"
        ).fetchall()
        curves = con.execute(
            "select count(*) from main.cva_training_runs where kind = 'curve' and model = ?", [kind]
        ).fetchall()
    assert [(rows[0][0], rows[0][1] > 0, rows[0][2] > 0)] == [(trained.version, True, True)]
    assert len(rows) == 1
    assert curves[0][0] > 0


def test_a_killed_training_leaves_what_was_deployed_and_can_be_started_anew(shop: Path) -> None:
    deployed = Shop(shop).models().value[0].version
    models = shop.parent / "cva_models" / "value"
    before = sorted(path.name for path in models.iterdir())
    words = [
        sys.executable, "-m", "cva_sql.cli.app", "train", "--db", str(shop), "--vars",
        "{cva_networks: [ziln_net]}",
    ]  # fmt: skip
    env = {**os.environ, "CVA_TESTS_COLD": "1"}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=env) as process:
        wait_for(process, "validating on")
        time.sleep(1.0)
        process.send_signal(signal.SIGKILL)
    assert sorted(path.name for path in models.iterdir()) == before
    assert Shop(shop).models().value[0].version == deployed
    again = Shop(shop, vars=ASKED).train(deploy=False)
    assert again.version is not None
    assert ENSEMBLE in again.scores


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"{words} was never said")
