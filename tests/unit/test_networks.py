"""Networks beside the members, by hand-made weights: no torch is needed to score one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml

from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.settings import (
    check_tuning,
    describe_settings,
    read_networks,
    read_params,
    read_settings,
    refuse_unasked_network,
    settable,
    settings_of_fitted,
    show_params,
    with_params,
)
from cva_sql.cli.train.tensorboard import check_tensorboard
from cva_sql.models_onnx.value.backtesting.ablation import ablate
from cva_sql.models_onnx.value.backtesting.backtest import backtest
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.terms import Terms
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.graph.network import Dense, Gru, Network, network_of
from cva_sql.models_onnx.value.members import networks, registry
from cva_sql.models_onnx.value.members.contract import Examples, FittedMember, Member
from cva_sql.models_onnx.value.members.networks import learning as network_learning
from cva_sql.models_onnx.value.members.networks import sequence, tutorial, ziln
from cva_sql.models_onnx.value.members.networks.learning import split
from cva_sql.models_onnx.value.members.registry import (
    ENSEMBLE,
    all_members,
    all_networks,
    candidates,
    network_names,
    parts,
    weights,
)
from cva_sql.models_onnx.value.model.graph import build_members, build_model
from cva_sql.models_onnx.value.model.parity import check_members, check_parity
from cva_sql.models_onnx.value.settings import Setting
from cva_sql.models_onnx.value.training import examples as fitting_examples
from cva_sql.models_onnx.value.training import tuning, validation
from cva_sql.models_onnx.value.training.choice import Choice
from cva_sql.models_onnx.value.training.fit import Fitting, fit_model
from cva_sql.models_onnx.value.training.learning import prepare_learning
from cva_sql.models_onnx.value.training.manifest import build_manifest, describe_members
from cva_sql.models_onnx.value.training.runs import training_entries
from cva_sql.udfs.errors import UsageError
from cva_sql.udfs.manifest import Manifest
from tests.unit.test_members import AS_OF, PLAN, make_examples

ROUNDING = 1e-12


def random_network(inputs: int, outputs: int, seed: int, size: float = 0.1) -> Network:
    random = np.random.default_rng(seed)
    widths = [inputs, 16, 8, outputs]
    return network_of(
        [
            (size * random.normal(size=(after, before)), size * random.normal(size=after))
            for before, after in pairwise(widths)
        ]
    )


def fit_ziln(examples: Examples) -> FittedMember:
    width = examples.rows.z.shape[1]
    found = tuple(random_network(width, ziln.HEADS, seed) for seed in range(2))
    return ziln.FittedZiln(found, (2.0, 1.0))


def fit_sequence(examples: Examples) -> FittedMember:
    width = examples.rows.z.shape[1]
    pairs = tuple(
        (random_gru(sequence.INPUTS, 4, seed), random_network(width + 4, ziln.HEADS, seed))
        for seed in range(2)
    )
    return sequence.FittedSequence(25.0, pairs)


def fit_tutorial(examples: Examples) -> FittedMember:
    inputs = ("orders_count", "historic_value")
    network = random_network(2, 1, 5, size=1.0)
    return tutorial.FittedTutorial(
        inputs, np.array([2.0, 60.0]), np.array([1.5, 50.0]), network, examples.mean_spend
    )


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks with weights of no training."""
    found = (
        replace(tutorial.MEMBER, fit=fit_tutorial),
        replace(ziln.MEMBER, fit=fit_ziln),
        replace(sequence.MEMBER, fit=fit_sequence),
    )
    for module in (registry, validation):
        monkeypatch.setattr(module, "all_networks", lambda: found)


def asked(*names: str, **more: Any) -> Dataset:
    return with_sequences(make_examples()).under(Terms(networks=names or network_names(), **more))


def with_sequences(data: Dataset) -> Dataset:
    """With up to three days with an order, one by one."""
    random, rows = np.random.default_rng(9), len(data)
    count = random.integers(0, 4, rows)
    ages = np.cumsum(random.integers(1, 60, size=(rows, 3)), axis=1).astype(np.float32)
    ages[::7] = ages[::7, ::-1]  # as where explanations mix two customers
    numbers = dict(data.numbers)
    for place in range(3):
        is_there = count > place
        numbers[f"order_day_{place + 1}_age"] = np.where(is_there, ages[:, place], np.nan)
        amount = random.gamma(3.0, 10.0, rows).astype(np.float32)
        numbers[f"order_day_{place + 1}_amount"] = np.where(is_there, amount, np.nan)
    families = {name: "sequence" for name in numbers if name.startswith("order_day_")}
    return replace(data, numbers=numbers, families=families)


def fitted(data: Dataset, kind: str | None = None) -> Fitting:
    found = fit_model(data, PLAN, lambda _: None, kind)
    assert found.members is not None
    assert found.model is not None
    return found


def manifest_of(found: Fitting, data: Dataset, onnx: bytes = b"") -> Manifest:
    assert found.model is not None
    first = date(2023, 1, 1)
    return build_manifest(found.model, onnx, PLAN, found.choice, first, learned=data)


def test_a_network_in_the_graph_is_the_network_wherever_a_row_lies() -> None:
    network = random_network(5, 3, 1, size=1.0)
    x = np.random.default_rng(2).normal(size=(333, 5)).astype(np.float32)
    graph = Graph()
    lines = graph.whole_blocks([graph.number_input(f"x{k}") for k in range(5)])
    out = network.write(graph, lines)
    for k in range(3):
        graph.output(f"y{k}", graph.lines(out, k, k + 1))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.to_bytes("a network"), options)

    def run(rows: Any) -> Any:
        found = session.run(None, {f"x{k}": rows[:, k : k + 1] for k in range(5)})
        return np.column_stack(found)

    whole = run(x)
    assert whole == pytest.approx(network.predict(x.astype(np.float64)), abs=ROUNDING)
    for place in (0, 17, 332):
        assert np.array_equal(run(x[place : place + 1])[0], whole[place])
    assert np.array_equal(run(x[100:]), whole[100:])


def random_gru(inputs: int, width: int, seed: int) -> Gru:
    random = np.random.default_rng(seed)

    def dense(columns: int) -> Dense:
        shape = (3 * width, columns)
        return Dense(random.normal(size=shape), random.normal(size=3 * width))

    return Gru(dense(inputs), dense(width))


def test_a_recurrent_unit_leaves_its_state_where_there_is_no_step() -> None:
    gru, random = random_gru(2, 3, 1), np.random.default_rng(2)
    steps = random.normal(size=(4, 5, 2))
    there = np.ones((4, 5))
    there[:, :2] = 0.0
    assert gru.predict(steps, there) == pytest.approx(gru.predict(steps[:, 2:], there[:, 2:]))
    assert not gru.predict(steps, np.zeros((4, 5))).any()


def test_steps_go_from_the_oldest_day_to_the_newest() -> None:
    beside = np.array([[5.0, 20.0, 12.0, 10.0, np.nan, np.nan], [np.nan] * 6])
    steps, there = sequence.steps_of(beside, unit=10.0)
    assert there.tolist() == [[0, 1, 1], [0, 0, 0]]
    gap, is_first, amount, age = steps[0, 2]
    assert (gap * sequence.DAYS, is_first) == (pytest.approx(np.log(8.0)), 0.0)
    assert amount == pytest.approx(np.log(2.0 + sequence.LOGS))
    assert age * sequence.DAYS == pytest.approx(np.log(6.0))
    assert steps[0, 1, :2].tolist() == [0.0, 1.0]  # the oldest has nothing before it
    mixed, _ = sequence.steps_of(np.array([[30.0, 1.0, 2.0, 1.0]]), unit=1.0)  # of two customers
    assert mixed[0, 1, 0] == 0.0
    assert np.isfinite(steps).all()


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("kind", ["tutorial_net", "ziln_net", "sequence_net"])
def test_a_file_with_a_network_says_what_the_network_does(kind: str) -> None:
    data = asked()
    found = fitted(data, kind)
    assert found.model is not None
    assert {kind, ENSEMBLE} <= found.choice.scores.keys()
    onnx = build_model(found.model)
    manifest = manifest_of(found, data, onnx)
    assert check_parity(found.model, onnx, manifest, data.seen_from(AS_OF)).worst < 1e-9
    assert kind in manifest.version
    assert manifest.training["networks"] == list(network_names())
    beside = {f.name for f in manifest.features if f.name.startswith("order_day_")}
    assert len(beside) == 6
    trees = found.members.fitted["lightgbm"].trees
    assert trees.booster.num_feature() == len(make_examples().numbers)  # none of those beside
    entries = training_entries(manifest, found.choice)
    settings = {(e.model, e.name): e.value for e in entries if e.kind == "setting"}
    assert settings["ziln_net", "epochs"] == 40
    curve = [(e.step, e.value) for e in entries if (e.kind, e.model) == ("curve", "ziln_net")]
    assert curve == [(1, 2.0), (2, 1.0)]


@pytest.mark.usefixtures("by_hand")
def test_nothing_of_a_network_is_there_where_none_is_asked_for() -> None:
    found = fitted(make_examples())
    assert found.members is not None
    assert set(network_names()).isdisjoint(found.members.fitted)
    assert set(network_names()).isdisjoint(found.choice.scores)
    names = {entry.model for entry in training_entries(None, Choice(ENSEMBLE, False, "", {}, ()))}
    assert set(network_names()).isdisjoint(names)


@pytest.mark.usefixtures("by_hand")
def test_a_network_joins_the_ensemble_where_it_makes_each_date_better_and_only_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = asked("ziln_net")
    worse = fitted(data)
    assert worse.members is not None
    assert not worse.members.joined  # its weights are of no training
    assert "joined" not in manifest_of(worse, data).training
    real = validation._fold

    def told(*given: Any, **more: Any) -> validation.Fold:
        """A fold in which the network knows what came."""
        fold = real(*given, **more)
        outcome = fold.outcomes["ziln_net"]
        knows = replace(outcome, linear_predictor=np.log(fold.actual + 1.0))
        return replace(fold, outcomes={**fold.outcomes, "ziln_net": knows})

    monkeypatch.setattr(validation, "_fold", told)
    better = fitted(data, ENSEMBLE)
    assert better.members is not None
    assert better.model is not None
    assert better.members.joined == {"ziln_net": 0.2}
    assert all(fold.joined == {"ziln_net": 0.2} for fold in better.folds)
    shares = better.members.shares(ENSEMBLE)
    assert sum(shares.values()) == pytest.approx(1)
    trust = better.members.shrinkage.trust
    assert shares["ziln_net"] == pytest.approx(trust * 0.2 / 1.2)
    assert shares["glm_plain"] == pytest.approx(trust * 0.2 / 1.2)
    onnx, now = build_model(better.model), data.seen_from(AS_OF)
    manifest = manifest_of(better, data, onnx)
    assert manifest.training["joined"] == {"ziln_net": 0.2}
    assert check_parity(better.model, onnx, manifest, now).worst < 1e-9
    apart = build_members(better.model)
    members = describe_members(better.model, apart)
    assert members.weights["ziln_net"] == shares["ziln_net"]
    check_members(better.model, apart, replace(manifest, members=members), now)
    lean = ablate(better.learning, better.members, better.folds, better.model, now, lambda _: None)
    assert "member ziln_net" in lean
    weight = [
        e.value
        for e in training_entries(manifest, better.choice)
        if (e.model, e.name) == ("ziln_net", "weight")
    ]
    assert weight == [pytest.approx(0.2 / 1.2)]


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("trust", [1.0, 0.3])
def test_a_fold_joined_by_a_network_is_what_the_members_with_it_say(trust: float) -> None:
    data = asked("ziln_net")
    learning = prepare_learning(data, PLAN)
    cutoff = PLAN.cutoffs[0]
    members = fitting_examples.fit_members(
        learning, PLAN.trained_before(cutoff), cutoff, PLAN.label_days
    )
    members = replace(members, shrinkage=replace(members.shrinkage, trust=trust))
    test = learning.at([cutoff])
    fold = validation._fold(learning, members, cutoff, test, is_newest=False)
    joined = fold.joined_by("ziln_net", 0.2)
    prepared = members.preparation.apply(test)
    expected = replace(members, joined={"ziln_net": 0.2}).linear_predictor(prepared, ENSEMBLE)
    assert joined.outcomes[ENSEMBLE].linear_predictor == pytest.approx(expected, abs=1e-9)


@pytest.mark.usefixtures("by_hand")
def test_networks_are_in_the_back_test_and_are_no_rules() -> None:
    result = backtest(asked(), [PLAN], 0, lambda _: None)
    assert set(network_names()) <= result.metrics.keys()
    assert set(network_names()).isdisjoint(result.rules)


def test_networks_have_places_and_names_of_their_own() -> None:
    folder = Path(networks.__path__[0])
    declared = {path.stem for path in folder.glob("*.py") if "\nMEMBER = " in path.read_text()}
    assert {network.name.removesuffix("_net") for network in all_networks()} == declared
    both = [*all_members(), *all_networks()]
    assert len({one.place for one in both}) == len({one.name for one in both}) == len(both)
    for network in all_networks():
        assert network.kind == network.name
        assert dict(weights(network.name)) == {network.name: 1.0}
    assert dict(parts({"ziln_net": 0.25}))["ziln_net"] == pytest.approx(0.2)
    assert set(candidates(["ziln_net"])) - set(candidates()) == {"ziln_net"}


def test_what_was_complete_is_learned_from_and_the_newest_date_says_when_to_stop() -> None:
    dates, customers = np.repeat([-180, -90, -60, -30, 0], 300), np.tile(np.arange(300), 5)
    learn_from, held = split(dates, customers, 90)
    assert np.array_equal(learn_from, dates <= -90)
    assert np.array_equal(held, dates == 0)


@pytest.mark.parametrize(
    "dates", [np.repeat([-60, -30, 0], 300), np.zeros(900), np.repeat([-180, 0], [10, 890])]
)
def test_a_fifth_of_the_customers_says_when_to_stop_where_there_are_too_few_dates(
    dates: Any,
) -> None:
    customers = np.arange(900) % 300
    learn_from, held = split(dates, customers, 90)
    assert np.array_equal(learn_from, ~held)
    assert set(customers[held]).isdisjoint(customers[learn_from])
    assert held.mean() == pytest.approx(0.2)
    same = np.zeros(900, dtype=np.int64)  # one customer: no date or customer to part by
    learn_from, held = split(dates, same, 90)
    assert learn_from.any()
    assert held.any()


def shop(variables: dict[str, Any]) -> ResolvedShop:
    return ResolvedShop(Path("shop.duckdb"), Path("cva_models"), variables)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "ziln_net",
            "cva_networks is ziln_net; expected true, or a list of tutorial_net, ziln_net, "
            "sequence_net",
        ),
        (["zilm"], "cva_networks has zilm; expected some of tutorial_net, ziln_net, sequence_net"),
    ],
)
def test_what_is_no_network_is_refused(given: Any, said: str) -> None:
    with pytest.raises(UsageError) as error:
        read_networks(shop({"cva_networks": given}))
    assert str(error.value) == said


def test_sequences_have_to_be_there_for_the_network_that_reads_them() -> None:
    with pytest.raises(UsageError) as error:
        read_networks(shop({"cva_networks": ["sequence_net"]}))
    assert str(error.value) == (
        "cva_networks has sequence_net, which reads the last orders one by one; "
        "set cva_use_sequences: true as well, here and for cva run"
    )


def test_a_network_promises_no_direction() -> None:
    with pytest.raises(UsageError, match="a network keeps to no direction; leave one of them out"):
        read_networks(shop({"cva_networks": True, "cva_monotone": {"rating_mean": 1}}))


def test_without_torch_the_rest_is_trained_and_what_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(network_learning, "has_torch", lambda: False)
    assert read_networks(shop({"cva_networks": True})) == ()
    said = capsys.readouterr().err
    assert "left out, as torch is not installed: tutorial_net, ziln_net; for them: pip" in said
    monkeypatch.setattr(network_learning, "has_torch", lambda: True)
    assert read_networks(shop({"cva_networks": ["ziln_net"]})) == ("ziln_net",)
    able = {"cva_networks": True, "cva_use_sequences": True}
    assert read_networks(shop(able)) == network_names()
    assert read_networks(shop({"cva_networks": True})) == ("tutorial_net", "ziln_net")
    assert read_networks(shop({})) == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([1], "cva_member_settings is [1]; expected members with their settings"),
        ({"lightgb": {}}, "cva_member_settings has lightgb; nearest: lightgbm"),
        ({"xyzzy": {}}, "cva_member_settings has xyzzy; expected one of glm_offset,"),
        ({"lightgbm": 3}, "cva_member_settings has lightgbm: 3; expected settings with numbers"),
        ({"lightgbm": {"round": 1}}, "cva_member_settings has lightgbm: round; nearest: rounds"),
        (
            {"lightgbm": {"rounds": 0}},
            "cva_member_settings: lightgbm: rounds is '0'; expected a whole number from 1 to 10000 "
            "(default: 80)",
        ),
        ({"lightgbm": {"rounds": 1.5}}, "rounds is '1.5'; expected a whole number"),
        ({"lightgbm": {"rounds": True}}, "rounds is 'True'; expected a whole number"),
        ({"hurdle": {"learning_rate": "fast"}}, "learning_rate is 'fast'; expected a number from"),
        ({"glm_plain": {"penalty": float("nan")}}, "penalty is 'nan'; expected a number"),
        (
            {"ziln_net": {"hidden": 64}},
            "hidden is '64'; expected a list of whole numbers from 1 to 4096 (default: [64, 32])",
        ),
        ({"ziln_net": {"hidden": []}}, "hidden is '[]'; expected a list of whole numbers"),
    ],
)
def test_a_setting_that_is_not_allowed_is_one_line(given: Any, said: str) -> None:
    with pytest.raises(UsageError) as error:
        read_settings(shop({"cva_member_settings": given}))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_shown_may_be_given_back(tmp_path: Path) -> None:
    file = tmp_path / "params.yml"
    file.write_text(show_params(), encoding="utf-8")
    found = read_settings(with_params(shop({"cva_member_settings": {"hurdle": 1}}), str(file)))
    assert found == {}  # all as by default
    shown = yaml.safe_load(show_params())
    assert shown.keys() == settable().keys()
    for name, member in settable().items():
        assert shown[name].keys() == member.tunable.keys()
    text = "lightgbm: {rounds: 7, learning_rate: 5e-2}\nziln_net: {hidden: [8, 8.0]}\n"
    file.write_text(text, encoding="utf-8")
    found = read_settings(with_params(shop({}), str(file)))
    assert found == {"lightgbm": {"rounds": 7}, "ziln_net": {"hidden": (8, 8)}}
    (said,) = describe_settings(Terms(settings=found))
    assert said == "cva_member_settings: {lightgbm: {rounds: 7}, ziln_net: {hidden: [8, 8]}}"
    assert read_settings(shop(yaml.safe_load(said))) == found


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "just words"])
def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "params.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="expected a YAML file of members with their settings"):
        read_params(str(file))
    with pytest.raises(UsageError, match=r"--params nowhere\.yml: .*No such file"):
        read_params("nowhere.yml")


def test_settings_reach_the_members_they_are_set_of() -> None:
    settings = {"lightgbm": {"rounds": 3}, "glm_plain": {"penalty": 1e6}}
    data = make_examples().under(Terms(settings=settings))
    found, usual = fitted(data), fitted(make_examples())
    assert found.members is not None
    assert usual.members is not None
    assert found.members.fitted["lightgbm"].trees.booster.num_trees() == 3
    assert usual.members.fitted["lightgbm"].trees.booster.num_trees() == 80
    flat = found.members.fitted["glm_plain"].columns.coefficients
    assert (
        np.abs(flat).max()
        < 1e-3
        < np.abs(usual.members.fitted["glm_plain"].columns.coefficients).max()
    )
    manifest = manifest_of(found, data)
    assert manifest.training["settings"] == settings
    entries = training_entries(manifest, found.choice)
    assert ("lightgbm", "rounds", 3.0) in [(e.model, e.name, e.value) for e in entries]


def test_settings_are_looked_for_on_dates_before_those_of_the_gate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = replace(PLAN, cutoffs=tuple(AS_OF - timedelta(days=90 + 60 * k) for k in range(8)))
    monkeypatch.setattr("tests.unit.test_members.PLAN", plan)
    learning = prepare_learning(make_examples(), plan)
    gate = validation.validate(learning, lambda _: None)
    dates = tuning.tuning_dates(learning)
    assert [day.cutoff for day in dates] == sorted(plan.cutoffs[3:6])
    assert [fold.cutoff for fold in gate] == list(plan.cutoffs[:3])
    for day in dates:
        assert (-day.examples.dates).min() >= plan.label_days  # labels complete by then
        assert 0 < day.explained(all_members()[3], {}) < 1


def test_a_setting_has_the_type_of_its_default() -> None:
    assert Setting(1.0, 0, 5).read(2, "a") == 2.0
    assert type(Setting(1.0, 0, 5).read(2, "a")) is float
    assert type(Setting(1, 0, 5).read(2.0, "a")) is int
    with pytest.raises(UsageError, match="a is '9'; expected a number from 0 to 5"):
        Setting(1.0, 0, 5).read(9, "a")
    assert Setting(1.0, 0, 5).read("1e-3", "a") == 0.001  # YAML takes it for a text
    with pytest.raises(UsageError, match="a is '1000"):
        Setting(1.0, 0, 5).read(10**400, "a")


def test_every_default_is_allowed_and_lies_where_it_is_searched() -> None:
    for member in settable().values():
        check_defaults(member)


def check_defaults(member: Member) -> None:
    for name, setting in member.tunable.items():
        assert setting.read(setting.default, name) == setting.default
        if setting.search:
            low, high = setting.search
            assert setting.low <= low <= float(setting.default) <= high <= setting.high


def test_a_file_is_no_folder_for_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_tensorboard(None)
    file = tmp_path / "f"
    file.touch()
    monkeypatch.setattr("cva_sql.cli.train.tensorboard.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="--tensorboard: TensorBoard is not installed: pip"):
        check_tensorboard(tmp_path)
    monkeypatch.setattr("cva_sql.cli.train.tensorboard.find_spec", lambda name: name)
    for given in (file, file / "in"):
        with pytest.raises(UsageError, match=r"--tensorboard .*; expected a folder"):
            check_tensorboard(given)
    check_tensorboard(tmp_path / "new")
    assert (tmp_path / "new").is_dir()


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("inf"), float("nan")])
def test_minutes_that_never_end_or_begin_are_refused(minutes: float) -> None:
    with pytest.raises(UsageError, match=r"expected minutes above 0, e\.g\. --tune 10"):
        check_tuning(minutes)


def test_settings_of_what_is_not_fitted_do_nothing_and_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {"ziln_net": {"epochs": 3}, "lightgbm": {"rounds": 9}}
    assert settings_of_fitted(given, ["ziln_net"]) == given
    assert settings_of_fitted(given, []) == {"lightgbm": {"rounds": 9}}
    assert "cva_member_settings has ziln_net, not fitted as cva_networks" in capsys.readouterr().err


def test_a_network_that_is_not_fitted_cannot_be_asked_to_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse_unasked_network(shop({}), "lightgbm")
    monkeypatch.setattr(network_learning, "has_torch", lambda: True)
    with pytest.raises(UsageError, match=r"--vars '\{cva_networks: \[ziln_net\]\}'"):
        refuse_unasked_network(shop({}), "ziln_net")
    refuse_unasked_network(shop({"cva_networks": ["ziln_net"]}), "ziln_net")
    monkeypatch.setattr(network_learning, "has_torch", lambda: False)
    with pytest.raises(UsageError, match="--deploy ziln_net: torch is not installed: pip"):
        refuse_unasked_network(shop({"cva_networks": True}), "ziln_net")
