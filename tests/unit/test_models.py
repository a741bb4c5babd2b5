"""`cva models`: what it lists, and what it says of a file that was altered."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import duckdb
import numpy as np
import pytest
from onnx import TensorProto, helper

from cva_sql.cli.models.command import deploy_model, info, list_models, rollback
from cva_sql.cli.models.inventory import value_models
from cva_sql.cli.shop.model_store import deploy, deployed_version, store_model
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.deployment import UNASKED, Wish, settle
from cva_sql.udfs.errors import ModelError, UsageError
from cva_sql.udfs.manifest import OUTPUTS, Feature, Manifest, read_manifest
from cva_sql.udfs.projection import DIMENSION, TextProjection
from cva_sql.udfs.register import register, unregister

FIGURES = {
    "d2_shape": 0.2,
    "d2_tweedie": 0.18,
    "ngini": 0.67,
    "spearman": 0.47,
    "mae": 28.3,
    "r2": 0.1,
    "bias": -0.1,
}


def onnx_file(as_of: str) -> bytes:
    number, text, double = TensorProto.FLOAT, TensorProto.STRING, TensorProto.DOUBLE
    graph = helper.make_graph(
        [helper.make_node("Cast", ["recency_days"], [name], to=double) for name in OUTPUTS],
        "constant",
        [
            helper.make_tensor_value_info("recency_days", number, [None, 1]),
            helper.make_tensor_value_info("country", text, [None, 1]),
        ],
        [helper.make_tensor_value_info(name, double, [None, 1]) for name in OUTPUTS],
        doc_string=as_of,
    )
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, ir_version=8, opset_imports=opsets).SerializeToString())


def stored(models_dir: Path, as_of: str, *, with_text: bool = False, horizon_days: int = 90) -> str:
    """A trained model's folder; its file can be opened and is never run. The version."""
    data = onnx_file(as_of)
    digest = hashlib.sha256(data).hexdigest()
    manifest = Manifest(
        name="value",
        version=f"{as_of.replace('-', '')}-h90-ensemble-{digest[:8]}",
        sha256=digest,
        features=(Feature("recency_days", "number"), Feature("country", "category")),
        horizon_days=horizon_days,
        is_baseline=False,
        opset=17,
        training={
            "database": "shop.duckdb",
            "as_of": as_of,
            "kind": "ensemble",
            "score_reference": [],
        },
        evaluation={
            "validation_dates": ["2025-03-01"],
            "scores": {"ensemble": FIGURES, "baseline": {**FIGURES, "ngini": 0.61}},
            "verdict": "ensemble explains more",
        },
        text_projection=TextProjection(np.eye(3, DIMENSION), np.zeros(DIMENSION), "key-of-encoder")
        if with_text
        else None,
    )
    store_model(models_dir, data, manifest)
    return manifest.version


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return tmp_path / "cva_models"


def test_without_training_the_packaged_rule_scores(
    models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (rule,) = value_models(models_dir)
    assert (rule.version, rule.kind, rule.is_deployed) == ("baseline-1", "rule", True)
    list_models(db=models_dir.parent / "shop.duckdb")
    said = capsys.readouterr().out
    assert "* baseline-1" in said
    assert "encoder" in said
    assert not models_dir.exists()


def test_the_newest_comes_first_and_the_deployed_one_is_marked(
    models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = stored(models_dir, "2025-01-01"), stored(models_dir, "2025-06-01")
    deploy(models_dir, old)
    found = value_models(models_dir)
    assert [model.version for model in found] == [new, old, "baseline-1"]
    assert [model.is_deployed for model in found] == [False, True, False]
    assert found[0].figures == {k: FIGURES[k] for k in ("ngini", "spearman", "mae", "d2_tweedie")}
    list_models(models_dir=models_dir)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("*")] == [old, "encoder"]
    assert "2025-01-01" in lines[2]


def test_the_list_as_json(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    version = stored(models_dir, "2025-01-01")
    list_models(models_dir=models_dir, as_json=True)
    listed = json.loads(capsys.readouterr().out)
    assert listed["value"][0]["version"] == version
    assert listed["value"][0]["bytes"] > 0
    assert listed["encoder"]["dimension"] == DIMENSION
    assert listed["encoder"]["is_own"] is False


def test_a_folder_without_a_manifest_is_listed_with_its_reason(
    models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (models_dir / "value" / "broken").mkdir(parents=True)
    list_models(models_dir=models_dir)
    said = capsys.readouterr().out
    assert "  broken" in said
    assert "manifest.json is missing" in said


def test_info_shows_the_manifest_and_that_the_file_is_its_file(
    models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = stored(models_dir, "2025-01-01", with_text=True)
    deploy(models_dir, version)
    info(models_dir=models_dir)
    said = capsys.readouterr().out
    assert f"version: {version}" in said
    assert "is_sha256_verified: yes" in said
    assert "features: recency_days, country" in said
    assert "components: 3" in said
    assert "key-of-encoder" in said
    assert "score_reference" not in said
    assert "0.670" in said
    assert "verdict: ensemble explains more" in said
    info(version, models_dir=models_dir, as_json=True)
    details = json.loads(capsys.readouterr().out)
    assert details["is_deployed"] is True
    assert details["text_projection"] == {"components": 3, "encoder_key": "key-of-encoder"}
    assert details["words_projection"] is None


def test_info_of_a_model_without_text(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info(stored(models_dir, "2025-01-01"), models_dir=models_dir)
    assert "text_projection: none" in capsys.readouterr().out


def test_info_of_an_altered_file_fails_after_showing_it(
    models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = stored(models_dir, "2025-01-01")
    with (models_dir / "value" / version / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="its manifest says"):
        info(version, models_dir=models_dir)
    assert "is_sha256_verified: no" in capsys.readouterr().out


@pytest.mark.parametrize("version", ["nope", "../../elsewhere", ""])
def test_info_of_an_unknown_version_names_the_known(models_dir: Path, version: str) -> None:
    known = stored(models_dir, "2025-01-01")
    with pytest.raises(UsageError, match=f"there are: {known}, baseline-1, encoder") as error:
        info(version, models_dir=models_dir)
    assert error.value.exit_code == 2


def test_info_of_the_rule_and_of_the_encoder(
    models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info("baseline-1", models_dir=models_dir)
    assert "horizon_days: any" in capsys.readouterr().out
    info("encoder", models_dir=models_dir)
    said = capsys.readouterr().out
    assert "is_sha256_verified: yes" in said
    assert "licence: Apache-2.0" in said


def test_info_says_when_the_deployed_version_is_gone(models_dir: Path) -> None:
    models_dir.mkdir()
    deploy(models_dir, "20250101-h90-ensemble-00000000")
    with pytest.raises(UsageError, match="no model 20250101-h90-ensemble-00000000"):
        info(models_dir=models_dir)


def test_a_good_model_stays_unless_told_otherwise(tmp_path: Path) -> None:
    def settled(as_of: str, *, is_better: bool = True, wish: Wish = UNASKED) -> tuple[bool, str]:
        version = stored(tmp_path, as_of)
        manifest = read_manifest(tmp_path / "value" / version)
        found = settle(tmp_path, manifest, is_better=is_better, reason="why", wish=wish)
        assert found.scoring == deployed_version(tmp_path)
        return found.is_deployed, found.reason

    good = stored(tmp_path, "2025-06-01")
    assert settled("2025-06-01", is_better=False) == (False, "why")
    assert deployed_version(tmp_path) is None
    assert settled("2025-06-01") == (True, "why")
    assert deployed_version(tmp_path) == good
    assert settled("2025-07-01", is_better=False) == (False, "why")
    assert settle(tmp_path, None, is_better=False, reason="too short").scoring == good
    earlier = stored(tmp_path, "2025-05-01")
    assert settled("2025-05-01") == (
        False,
        f"why, and not deployed: it looks from before {good}, trained as of 2025-06-01;"
        f" deploy it with: cva models deploy {earlier}",
    )
    is_deployed, reason = settled("2025-07-01", wish=Wish(deploy=False))
    assert (is_deployed, "not deployed: as asked" in reason) == (False, True)
    assert deployed_version(tmp_path) == good
    assert settled("2025-07-01")[0]
    is_deployed, reason = settled("2025-08-01", is_better=False, wish=Wish(withdraw=True))
    assert (is_deployed, reason.endswith("was withdrawn, as asked")) == (False, True)
    assert deployed_version(tmp_path) is None


def test_deploy_and_rollback_name_what_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db, models = tmp_path / "shop.duckdb", tmp_path / "cva_models"
    first, second = stored(models, "2025-05-01"), stored(models, "2025-06-01")
    with pytest.raises(UsageError, match="no other model of kind value was deployed before"):
        rollback(db=db)
    for act, scoring in (
        (lambda: deploy_model(first, db=db), first),
        (lambda: deploy_model(second, db=db), second),
        (lambda: rollback(db=db), first),
        (lambda: rollback(db=db), second),
        (lambda: deploy_model("rule", db=db), "baseline-1"),
        (lambda: rollback(db=db), second),
    ):
        act()
        assert f"; {scoring} scores\nnext: cva run --db {db}\n" in capsys.readouterr().out
    (models / "value" / first / "model.onnx").write_bytes(b"other")
    with pytest.raises(ModelError, match="sha256"):
        deploy_model(first, db=db)
    with pytest.raises(UsageError, match="there is no model v9"):
        deploy_model("v9", db=db)
    assert deployed_version(models) == second
    (models / "deployed.json").write_text('{"value": "../../evil"}')
    rollback(db=db)  # what no folder can be called was never deployed
    assert deployed_version(models) == second
    assert "evil" not in (models / "deployments.jsonl").read_text()
    outside = tmp_path / "outside"
    (models / "deployments.jsonl").rename(outside)
    (models / "deployments.jsonl").symlink_to(outside)
    with pytest.raises(UsageError, match="no other model"):
        rollback(db=db)


def test_the_horizon_is_the_deployed_models(tmp_path: Path) -> None:
    db, models = tmp_path / "shop.duckdb", tmp_path / "cva_models"

    def in_sql() -> int:
        with duckdb.connect(str(db)) as con:
            register(con)
            try:
                return int(con.execute("select cva_horizon_days()").fetchall()[0][0])
            finally:
                unregister(con)

    assert (ResolvedShop(db, models).horizon_days, in_sql()) == (90, 90)
    deploy_model(stored(models, "2025-05-01", horizon_days=365), db=db)
    assert (ResolvedShop(db, models).horizon_days, in_sql()) == (365, 365)
    assert ResolvedShop(db, models, {"cva_horizon_days": 30}).horizon_days == 30
    with duckdb.connect(str(db)) as con:
        told = con.execute("select kind, horizon_days from main_cva.cva_deployed_models").fetchall()
    assert told == [("value", 365)]


def test_a_file_that_cannot_run_is_not_deployed(models_dir: Path) -> None:
    good, bad = stored(models_dir, "2025-01-01"), stored(models_dir, "2025-06-01")
    deploy(models_dir, good)
    folder = models_dir / "value" / bad
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    raw["sha256"] = hashlib.sha256(b"no model").hexdigest()
    (folder / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    (folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="no ONNX file that can be run here"):
        deploy_model(bad, models_dir=models_dir)
    assert deployed_version(models_dir) == good


def test_figures_without_dates_and_verdict_are_described(
    models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = stored(models_dir, "2025-01-01")
    file = models_dir / "value" / version / "manifest.json"
    raw = json.loads(file.read_text(encoding="utf-8"))
    raw["evaluation"] = {"scores": {"ensemble": {"mae": None}}}
    file.write_text(json.dumps(raw), encoding="utf-8")
    info(version, models_dir=models_dir)
    assert "verdict: none is known" in capsys.readouterr().out
