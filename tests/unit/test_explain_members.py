"""`cva explain --members`: what each member predicts for a customer, its weight and its pull."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.model_store import exported_files, store_model
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import (
    MANIFEST_FILE,
    MEMBERS_FILE,
    MODEL_FILE,
    parse_manifest,
    read_manifest,
)
from cva_sql.udfs.members import members_of, predict_members


@pytest.fixture(scope="module")
def customer(sample_shop: Any, rows: Any) -> str:
    """The customer that most is expected of."""
    query = "select customer_id from customer_value order by predicted_value desc limit 1"
    return str(rows(sample_shop.db, query)[0][0])


@pytest.fixture
def models(sample_shop: Any, tmp_path: Path) -> Path:
    """A copy of the shop's models, to be harmed."""
    return Path(shutil.copytree(sample_shop.models_dir, tmp_path / "models"))


def only_model(models: Path) -> Path:
    (folder,) = (models / "value").iterdir()
    return folder


def without_members(folder: Path) -> None:
    """Makes a model one of before members were kept."""
    (folder / MEMBERS_FILE).unlink()
    raw = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    del raw["members"]
    (folder / MANIFEST_FILE).write_text(json.dumps(raw), encoding="utf-8")


def test_members_make_up_the_prediction(sample_shop: Any, cva: Any, customer: str) -> None:
    done = cva("explain", customer, "--db", sample_shop.db, "--members", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    predicted, members = found["figures"]["predicted_value"], found["members"]
    logs = {one["name"]: math.log(one["predicted_value"]) for one in members}
    weights = {one["name"]: one["weight"] for one in members}
    assert len(logs) > 5
    assert math.fsum(weights.values()) == pytest.approx(1, abs=1e-12)
    assert list(weights.values()) == sorted(weights.values(), reverse=True)
    mean = math.fsum(weights[name] * logs[name] for name in logs)
    assert math.exp(mean) == pytest.approx(predicted, rel=1e-9)
    for one in members:
        rest = [name for name in logs if name != one["name"]]
        total = math.fsum(weights[name] for name in rest)
        without = math.exp(math.fsum(weights[name] * logs[name] for name in rest) / total)
        assert one["pull"] == pytest.approx(predicted - without, abs=1e-9 * predicted)
        # Who predicts more than the others together pulls up, and nobody else does.
        assert (one["pull"] > 0) == (one["predicted_value"] > without)


def test_a_person_reads_a_line_a_member_below_the_reasons(
    sample_shop: Any, cva: Any, customer: str
) -> None:
    arguments = ["explain", customer, "--db", sample_shop.db]
    asked = cva(*arguments, "--members", "--set", "orders_90d_count=+1")
    assert asked.returncode == 0, asked.stderr
    before, table, changed = asked.stdout.split("\n\n")[-3:]
    assert before.endswith("They are not causes.")
    assert changed.startswith("with orders_90d_count +1:")
    head, *lines = table.splitlines()
    assert head.split() == ["member", "weight", "predicts", "pull"]
    members = json.loads(cva(*arguments, "--members", "--json").stdout)["members"]
    for line, member in zip(lines, members, strict=True):
        assert line.split() == [
            member["name"],
            f"{member['weight']:.3f}",
            f"{member['predicted_value']:,.2f}",
            f"{member['pull']:+,.2f}",
        ]
        assert len(line) == len(head)
    plain = cva(*arguments)
    assert asked.stdout.startswith(plain.stdout.rstrip())
    assert "pull" not in plain.stdout


def test_nobody_reads_the_file_who_does_not_ask_for_members(
    sample_shop: Any, cva: Any, customer: str, models: Path
) -> None:
    (only_model(models) / MEMBERS_FILE).unlink()
    done = cva("explain", customer, "--db", sample_shop.db, "--models-dir", models, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["members"] is None
    query = "select (cva_predict(f)).predicted_value from customer_features as f limit 1"
    scored = cva("sql", "--db", sample_shop.db, "--models-dir", models, query)
    assert scored.returncode == 0, scored.stderr


def link(file: Path) -> None:
    file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


HARMED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "changed": (lambda folder: (folder / MEMBERS_FILE).write_bytes(b"x"), "its manifest says"),
    "gone": (lambda folder: (folder / MEMBERS_FILE).unlink(), "members.onnx is missing; retrain"),
    "a link": (lambda folder: link(folder / MEMBERS_FILE), "members.onnx is a link"),
    "of before": (without_members, "made before there was one, or exported; cva train gives"),
    "none": (lambda folder: shutil.rmtree(folder.parents[1]), "the packaged rule scores and has"),
}


@pytest.mark.parametrize("how", HARMED)
def test_what_is_wrong_with_the_members_is_one_line(
    sample_shop: Any, cva: Any, customer: str, models: Path, how: str
) -> None:
    harm, said = HARMED[how]
    harm(only_model(models))
    done = cva("explain", customer, "--db", sample_shop.db, "--models-dir", models, "--members")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()[-1:]
    assert said in line
    assert "cva train" in line or how == "a link"


def test_members_are_of_a_customer(sample_shop: Any, cva: Any) -> None:
    done = cva("explain", "--members", "--db", sample_shop.db)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "--members needs a customer: cva explain CUSTOMER --members" in line


def test_an_added_model_has_no_members(models: Path) -> None:
    folder = only_model(models)
    without_members(folder)
    raw = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    raw["training"]["added"] = {"at": "2026-01-01"}
    with pytest.raises(ModelError, match="was added by cva models add and has no members"):
        members_of(parse_manifest(json.dumps(raw)))


def test_a_model_of_before_is_whole_and_trained_again_it_is_a_version_of_its_own(
    models: Path, sample_shop: Any
) -> None:
    folder = only_model(models)
    new, whole = read_manifest(folder), {p.name: p.read_bytes() for p in folder.iterdir()}
    without_members(folder)
    old = read_manifest(folder)
    assert old.members is None
    assert '"members"' not in old.to_json()
    assert old.files == (MODEL_FILE, MANIFEST_FILE)
    beside = {MEMBERS_FILE: whole[MEMBERS_FILE]}
    assert store_model(models, whole[MODEL_FILE], new, beside).name == f"{folder.name}-2"
    # And where nothing differs it is the same one, whose file is mended.
    shutil.rmtree(folder)
    stored = store_model(models, whole[MODEL_FILE], new, beside)
    for harm in (lambda f: f.write_bytes(b"half"), lambda f: f.unlink()):
        harm(stored / MEMBERS_FILE)
        assert store_model(models, whole[MODEL_FILE], new, beside) == stored == folder
        assert {p.name: p.read_bytes() for p in stored.iterdir()} == whole


def test_registry_and_doctor_say_that_the_file_is_another(
    sample_shop: Any, cva: Any, models: Path
) -> None:
    folder = only_model(models)
    (folder / MEMBERS_FILE).write_bytes(b"x")
    where = ("--db", sample_shop.db, "--models-dir", models)
    for arguments in (["models", "info", folder.name], ["doctor"]):
        done = cva(*arguments, *where)
        assert done.returncode == 1
        assert "members.onnx has sha256" in done.stdout + done.stderr
    # It scores all the same, and can be gone back to.
    assert cva("models", "deploy", folder.name, "--dry-run", *where).returncode == 0


def test_what_is_exported_names_no_file_that_is_not_there(sample_shop: Any) -> None:
    files = exported_files(sample_shop.model_folder)
    assert set(files) == {MODEL_FILE, MANIFEST_FILE}
    assert parse_manifest(files[MANIFEST_FILE].decode()).members is None


@pytest.mark.parametrize(
    "part",
    [
        {"sha256": "x"},
        {"weights": {}},
        {"weights": {"a": 0.5}},
        {"weights": {"a": 1.5, "b": -0.5}},
        {"weights": {"a": "1"}},
        {"weights": [1.0]},
        {"log_highest": None},
        {"log_highest": 1e999},
    ],
    ids=json.dumps,
)
def test_a_manifest_says_of_members_what_can_be(sample_shop: Any, part: dict[str, Any]) -> None:
    raw = json.loads((sample_shop.model_folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    assert json.loads(parse_manifest(json.dumps(raw)).to_json())["members"] == raw["members"]
    raw["members"] |= part
    with pytest.raises(ValueError, match=rf"members\.{next(iter(part))} is "):
        parse_manifest(json.dumps(raw).replace("Infinity", "1e999"))


def test_a_manifest_that_names_other_members_than_the_file_has(
    sample_shop: Any, models: Path
) -> None:
    folder = only_model(models)
    raw = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    raw["members"]["weights"] = {"somebody": 1.0}
    (folder / MANIFEST_FILE).write_text(json.dumps(raw), encoding="utf-8")
    with duckdb.connect(str(sample_shop.db), read_only=True) as con:
        table = con.sql("from customer_features limit 1").to_arrow_table()
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    with pytest.raises(ModelError, match=r"output somebody_log_value of .* is missing"):
        predict_members(folder, read_manifest(folder), columns, 1)
