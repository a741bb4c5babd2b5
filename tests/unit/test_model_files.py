"""Files of models that are broken, odd or elsewhere: one line that says what is wrong."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from onnx import TensorProto, helper

from cva_sql.cli.export_model.command import export_model
from cva_sql.cli.models.command import list_models
from cva_sql.cli.models.inventory import other_models, value_models
from cva_sql.cli.shop.files import write_atomic
from cva_sql.cli.shop.model_store import deploy, store_model, withdraw
from cva_sql.udfs.encoder import ShopEncoder
from cva_sql.udfs.errors import CvaError, ModelError
from cva_sql.udfs.explainer import load_explainer
from cva_sql.udfs.manifest import OUTPUTS, Feature, Manifest, read_manifest
from cva_sql.udfs.predict import predict_kind, predict_struct
from cva_sql.udfs.register import register, unregister
from cva_sql.udfs.sessions import baseline_folder, deployed_folder, deployed_versions, load_model

DEEP = "[" * 200_000
NUMBER, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE


def one_line(error: pytest.ExceptionInfo[Any]) -> str:
    return checked(str(error.value))


def checked(said: str) -> str:
    assert "\n" not in said
    assert "\x1b" not in said
    assert len(said) < 1_000
    return said


def refusal(act: Callable[[], Any]) -> str:
    """What is said against it, '' where it is done; anything but a CvaError is a fault."""
    try:
        act()
    except CvaError as error:
        return checked(str(error))
    return ""


def made(nodes: list[Any], outputs: tuple[str, ...] = ("y",), **more: Any) -> bytes:
    """An ONNX file with the input x."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", NUMBER, [None, 1])],
        [helper.make_tensor_value_info(name, DOUBLE, None) for name in outputs],
        more.pop("initializer", []),
    )
    settings = {"opset_imports": [helper.make_opsetid("", 17)], "ir_version": 8} | more
    return bytes(helper.make_model(graph, **settings).SerializeToString())


def cast(output: str = "y") -> Any:
    return helper.make_node("Cast", ["x"], [output], to=DOUBLE)


def huge() -> bytes:
    """A tensor that says it has 2^50 numbers, and has none."""
    big = TensorProto(name="big", data_type=NUMBER, dims=[1 << 25, 1 << 25])
    nodes = [helper.make_node("Add", ["x", "big"], ["s"]), cast()]
    return made(nodes, initializer=[big])


def elsewhere() -> bytes:
    """A tensor whose numbers are in a file of the system."""
    big = TensorProto(name="big", data_type=NUMBER, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "/etc/passwd"), ("offset", "0"), ("length", "16")):
        entry = big.external_data.add()
        entry.key, entry.value = key, value
    return made(
        [
            helper.make_node("Add", ["x", "big"], ["s"]),
            helper.make_node("Cast", ["s"], ["y"], to=11),
        ],
        initializer=[big],
    )


UNUSABLE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "garbage": lambda: os.urandom(512),
    "text": lambda: b"<html>404</html>",
    "operator of nobody": lambda: made(
        [helper.make_node("Mine", ["x"], ["y"], domain="mine")],
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)],
    ),
    "huge tensor": huge,
    "tensor elsewhere": elsewhere,
    "output of another name": lambda: made([cast("z")], ("z",)),
    "ir of the future": lambda: made([cast()], ir_version=999),
    "opset of the future": lambda: made([cast()], opset_imports=[helper.make_opsetid("", 999)]),
    "input of another name": lambda: made([cast()]).replace(b"x", b"w"),
}


def toy(data: bytes, **more: Any) -> Manifest:
    facts: dict[str, Any] = {
        "name": "toy",
        "version": "v1",
        "sha256": hashlib.sha256(data).hexdigest(),
        "features": (Feature("x", "number"),),
        "horizon_days": 90,
        "is_baseline": False,
        "opset": 17,
        "training": {},
        "evaluation": {},
        "outputs": ("y",),
    }
    return Manifest(**{**facts, **more})


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_file_with_the_right_hash_that_is_no_usable_model(what: str, tmp_path: Path) -> None:
    data = UNUSABLE[what]()
    folder = store_model(tmp_path, data, toy(data))
    with pytest.raises(ModelError) as error:
        load_model(folder)
    assert "cva train" in one_line(error)


def rows_of_x() -> Any:
    with duckdb.connect() as con:
        return con.sql("select {'x': 1.5::float} as r from range(3)").to_arrow_table()["r"]


@pytest.mark.parametrize(
    "nodes",
    [
        [
            helper.make_node("Concat", ["x", "x"], ["s"], axis=0),
            helper.make_node("Cast", ["s"], ["y"], to=11),
        ],
        [
            helper.make_node("Expand", ["x", "shape"], ["s"]),
            helper.make_node("Cast", ["s"], ["y"], to=11),
        ],
    ],
    ids=["two answers a row", "more memory than there is"],
)
def test_a_model_that_fails_on_rows_says_so_in_one_line(nodes: list[Any], tmp_path: Path) -> None:
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1 << 40, 1 << 10])
    data = made(nodes, initializer=[shape])
    model = load_model(store_model(tmp_path, data, toy(data)))
    with pytest.raises(ModelError) as error:
        predict_kind(model, rows_of_x())
    one_line(error)


def test_a_value_model_has_all_outputs(tmp_path: Path) -> None:
    data = made([cast()])
    folder = store_model(tmp_path, data, toy(data, name="value"))
    with pytest.raises(ModelError, match="output predicted_value of v1 is missing"):
        load_model(folder)


BASE = json.loads((baseline_folder() / "manifest.json").read_text(encoding="utf-8"))
PARTS = [*BASE, *(f"explanation.{part}" for part in BASE["explanation"])]
WRONG: list[Any] = [None, 7, True, "text", "\x1b[31m", [], {}, [None], [[]], {"a": None}, -1, 1e99]


def changed(part: str, value: Any) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(json.dumps(BASE))
    *above, name = part.split(".")
    (raw[above[0]] if above else raw)[name] = value
    return raw


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_manifest_that_is_something_else(part: str, tmp_path: Path) -> None:
    """It is refused in one line, or does no harm: the model scores and explains."""
    rows = rows_of_features()
    for number, value in enumerate([*WRONG, "missing"]):
        raw = changed(part, value)
        if value == "missing":
            *above, name = part.split(".")
            del (raw[above[0]] if above else raw)[name]
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
        (folder / "model.onnx").write_bytes((baseline_folder() / "model.onnx").read_bytes())
        refusal(lambda: predict_struct(load_model(folder), rows))  # noqa: B023 - called here
        refusal(lambda: load_explainer(folder))  # noqa: B023


def rows_of_features() -> Any:
    names = ", ".join(f"'{feature['name']}': 1.0" for feature in BASE["features"])
    with duckdb.connect() as con:
        return con.sql(f"select {{{names}}} as r").to_arrow_table()["r"]


@pytest.mark.parametrize(
    "text",
    [DEEP, '{"a":' * 100_000, "", "null", "[]", "7", '"x"', "{", "NaN", '{"name": NaN}', "\ufeff{}",
     '{"features": [1]}', '{"opset": ' + "9" * 5_000 + "}"],
    ids=lambda text: ascii(text[:12]),
)  # fmt: skip
def test_what_is_no_manifest_is_said_to_be_none(text: str, tmp_path: Path) -> None:
    for file in ("manifest.json", "deployed.json", "encoder/manifest.json"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    (tmp_path / "deployments.jsonl").write_text(text, encoding="utf-8")
    for read in (
        lambda: read_manifest(tmp_path),
        lambda: deployed_versions(tmp_path),
        lambda: ShopEncoder(tmp_path).load(),
    ):
        assert refusal(read)
    deploy(tmp_path, "v1")  # mends it
    assert deployed_versions(tmp_path) == {"value": "v1"}


BROKEN: dict[str, Callable[[Path], Any]] = {
    "folder": lambda path: path.mkdir(),
    "dangling link": lambda path: path.symlink_to(path.parent / "nothing"),
    "link to itself": lambda path: path.symlink_to(path),
    "file": lambda path: path.write_text("x"),
    "not text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "deployed.json", "cva_models"])
def test_a_path_that_is_something_else(how: str, file: str, tmp_path: Path) -> None:
    models = tmp_path / "cva_models"
    if file != "cva_models":
        data = made([cast()])
        folder = store_model(models, data, toy(data, name="value"))
        deploy(models, "v1")
        path = models / file if file == "deployed.json" else folder / file
        path.unlink()
    else:
        path = models
    BROKEN[how](path)
    for act in (
        lambda: load_model(deployed_folder(models)),
        lambda: value_models(models),
        lambda: list_models(models_dir=models),
        lambda: export_model("value", tmp_path / "out", models_dir=models),
        lambda: ShopEncoder(models).load(),
        lambda: store_model(models, b"x", toy(b"x")),
        lambda: deploy(models, "v2"),
        lambda: withdraw(models),
    ):
        refusal(act)
    if file != "cva_models":
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "deployed",
    [
        {"value": "../../evil"},
        {"value": "/etc"},
        {"value": ".."},
        {"value": ""},
        {"value": "v1/../v1"},
        {"value": "v1\x00"},
        {"value": "\x1b[31mv1"},
        {"value": "v" * 5_000},
        {"../toy": "v1", "value": "../toy/v1"},
    ],
    ids=ascii,
)
def test_what_is_deployed_has_a_plain_name(deployed: dict[str, str], tmp_path: Path) -> None:
    models = tmp_path / "models"
    for place in (models / "value", models / "toy", tmp_path, tmp_path / "toy"):
        data = made([cast()])
        folder = store_model(place.parent, data, toy(data, name=place.name))
        folder.rename(folder.parent / "evil") if place == tmp_path else None
    (models / "deployed.json").write_text(json.dumps(deployed), encoding="utf-8")
    with pytest.raises(ModelError, match="expected plain names") as error:
        deployed_folder(models)
    one_line(error)


def test_a_folder_has_the_model_of_its_name(tmp_path: Path) -> None:
    data = made([cast()])
    folder = store_model(tmp_path, data, toy(data))
    deploy(tmp_path, "v1", "toy")
    assert deployed_folder(tmp_path, "toy") == folder
    folder.rename(tmp_path / "toy" / "v2")
    deploy(tmp_path, "v2", "toy")
    with pytest.raises(ModelError, match="is of toy v1, expected toy v2"):
        deployed_folder(tmp_path, "toy")
    (tmp_path / "toy").rename(tmp_path / "value")
    deploy(tmp_path, "v2")
    with pytest.raises(ModelError, match="is of toy v1, expected value v2"):
        deployed_folder(tmp_path)
    (model,) = (model for model in value_models(tmp_path) if model.problem)
    assert "expected value v2" in str(model.problem)


@pytest.mark.parametrize("link", ["toy", "toy/v1", "toy/v1/model.onnx", "toy/v1/manifest.json"])
def test_no_link_leads_out_of_the_models(link: str, tmp_path: Path) -> None:
    models, outside = tmp_path / "models", tmp_path / "outside"
    data = made([cast()])
    store_model(models, data, toy(data))
    deploy(models, "v1", "toy")
    (models / link).rename(outside)
    (models / link).symlink_to(outside)
    before = sorted(outside.rglob("*"))
    with pytest.raises(ModelError, match="is a link"):
        deployed_folder(models, "toy")
    if link in ("toy", "toy/v1"):
        with pytest.raises(ModelError, match="is a link"):
            store_model(models, data, toy(data))
    assert sorted(outside.rglob("*")) == before


def test_a_link_in_the_place_of_a_temporary_file_is_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / f".file.cva-{os.getpid()}").symlink_to(precious)
    write_atomic(tmp_path / "file", b"new")
    assert (precious.read_text(), (tmp_path / "file").read_text()) == ("mine", "new")


def test_a_manifest_of_before_is_read_and_exported_without_its_customers(tmp_path: Path) -> None:
    data = made([cast(name) for name in OUTPUTS], OUTPUTS)
    manifest = toy(data, name="value", outputs=OUTPUTS)
    folder = store_model(tmp_path / "models", data, manifest)
    named = [{"customer_id": "anna@example.com", "spend": 1e6}]
    old = json.loads(manifest.to_json()) | {"training": {"outliers": named}}
    (folder / "manifest.json").write_text(json.dumps(old), encoding="utf-8")
    deploy(tmp_path / "models", "v1")
    assert read_manifest(folder).training == {"outliers": {"count": 1, "spend": [1e6]}}
    export_model("value", tmp_path / "out", models_dir=tmp_path / "models")
    text = (tmp_path / "out" / "manifest.json").read_text(encoding="utf-8")
    assert "anna" not in text
    new = replace(manifest, training={"outliers": {"count": 1, "spend": [1e6]}})
    assert read_manifest(tmp_path / "out") == new


def test_the_rule_is_exported_by_its_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CvaError, match="no model is deployed in cva_models; train one"):
        export_model("value", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export_model("rule", tmp_path / "out")
    assert read_manifest(tmp_path / "out").is_baseline


def test_a_broken_model_is_one_line_of_sql(tmp_path: Path) -> None:
    data = UNUSABLE["operator of nobody"]()
    store_model(tmp_path / "cva_models", data, toy(data, name="value", outputs=OUTPUTS))
    deploy(tmp_path / "cva_models", "v1")
    con = duckdb.connect(str(tmp_path / "shop.duckdb"))
    try:
        register(con)
        with pytest.raises(duckdb.Error, match="ModelError: the model is no ONNX file"):
            con.execute("select cva_predict({'x': 1.0})").fetchall()
    finally:
        unregister(con)
        con.close()


@pytest.mark.parametrize(
    "outputs", [['y" DOUBLE, z'], ["y", "Y"], ["y\x1b"], [""], ["1y"], [None], "y", []], ids=ascii
)
def test_an_output_has_a_name_that_sql_can_have(
    outputs: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Else its kind is left out, and the functions of the others are there."""
    data = made([cast()])
    folder = store_model(tmp_path, data, toy(data))
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps(raw | {"outputs": outputs}), encoding="utf-8")
    (tmp_path / "deployed.json").write_text('{"toy": "v1", "e\\u001b[31m": "v1"}', encoding="utf-8")
    with duckdb.connect() as con:
        register(con, models_dir=tmp_path)
        assert con.execute("select cva_version() is not null").fetchall() == [(True,)]
        unregister(con)
    said = capfd.readouterr().err
    assert "cva_toy is not there" in said
    assert said.count("\n") == 2
    assert "\x1b" not in said


@pytest.fixture
def nobody() -> Iterator[None]:
    """Another user than root, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_may_not_be_read_is_one_line(closed_folder: Path, nobody: None) -> None:
    for act in (other_models, deployed_folder, lambda models: deploy(models, "v1")):
        assert "Permission denied" in refusal(lambda: act(closed_folder))  # noqa: B023


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that nobody may look into, in one that all may: not pytest's."""
    with tempfile.TemporaryDirectory() as name:
        models = Path(name) / "cva_models"
        models.mkdir()
        Path(name).chmod(0o755)
        models.chmod(0)
        yield models
        models.chmod(0o755)
