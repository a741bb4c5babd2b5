"""What a command did not make it does not replace: demo, report, export-model and init."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.demo.command import demo
from cva_sql.cli.demo.ownership import refuse_others, remember_table, write_files
from cva_sql.cli.export_model.command import export_model
from cva_sql.cli.export_model.writing import write_export
from cva_sql.cli.init.project import COPY, MARK, init_project
from cva_sql.cli.load.table import load_table
from cva_sql.cli.report.mark import marked
from cva_sql.cli.report.writing import refuse_page
from cva_sql.udfs.encoder import encoder_folder
from cva_sql.udfs.errors import CvaError, UsageError


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def users_database(folder: Path) -> None:
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute("create schema raw; create table raw.orders as select 1 as order_id")


def users_empty_database(folder: Path) -> None:
    duckdb.connect(str(folder / "shop.duckdb")).close()


def users_file(folder: Path) -> None:
    (folder / "files").mkdir()
    (folder / "files" / "orders.csv").write_text("mine\n")


def users_linked_folder(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "files").symlink_to("mine")


def users_page(folder: Path) -> None:
    (folder / "report.html").write_text("<!doctype html>\n<title>Mine</title>")


@pytest.mark.parametrize(
    "make",
    [users_database, users_empty_database, users_file, users_linked_folder, users_page],
)
def test_the_demo_replaces_nothing_of_the_users(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(UsageError) as error:
        demo(tmp_path, customers=200)
    assert "name another" in str(error.value)
    assert "\n" not in str(error.value)
    assert contents(tmp_path) == before


def test_the_demo_is_made_again_over_its_own_and_not_over_what_was_added(tmp_path: Path) -> None:
    db = tmp_path / "shop.duckdb"
    refuse_others(tmp_path, db)
    (tmp_path / ".cva_demo_files_killed").mkdir()
    write_files(tmp_path, customers=50, seed=7)
    refuse_others(tmp_path, db)
    for table in ("orders", "customers"):
        load_table(table, [tmp_path / "files" / f"{table}.csv"], db=db)
        remember_table(tmp_path, db, table)
    refuse_others(tmp_path, db)
    write_files(tmp_path, customers=50, seed=8)
    refuse_others(tmp_path, db)
    assert [path.name for path in tmp_path.glob(".cva_demo*")] == [".cva_demo"]
    with duckdb.connect(str(db)) as con:
        con.execute("insert into raw.orders from raw.orders limit 1")
    with pytest.raises(UsageError, match=r"table raw\.orders in .* is not what cva demo made"):
        refuse_others(tmp_path, db)


@pytest.mark.parametrize("text", ["", "mine", "<!doctype html><title>Mine</title>"])
def test_a_report_replaces_no_page_of_another(tmp_path: Path, text: str) -> None:
    page, db = tmp_path / "report.html", tmp_path / "shop.duckdb"
    refuse_page(page, db)
    page.write_text(text)
    with pytest.raises(UsageError, match=r"is no report of cva's; .*name another file: --out"):
        refuse_page(page, db)
    page.write_text(PAGE)
    with pytest.raises(UsageError, match=r"has no mark of cva's.*name another file: --out"):
        refuse_page(page, db)


PAGE = """<!doctype html>
<html>
<meta charset="utf-8">
<title>Customer value: shop.duckdb</title>
<p>as it is"""


@pytest.mark.parametrize("name", ["shop.duckdb", 'a "b" <c>&.duckdb', "店 1.duckdb", "\udcff.db"])
def test_a_report_replaces_the_databases_own_page_as_cva_wrote_it(
    tmp_path: Path, name: str
) -> None:
    page, db = tmp_path / "report.html", tmp_path / name
    text = marked(PAGE, db)
    assert (text, text.isascii()) == (marked(PAGE, tmp_path / "elsewhere" / name), True)
    page.write_text(text)
    refuse_page(page, db)
    with pytest.raises(UsageError, match=r"is the report on another database, .*: --out"):
        refuse_page(page, tmp_path / "other.duckdb")
    link = tmp_path / "link.html"
    link.symlink_to(page)
    with pytest.raises(UsageError, match="is a link"):
        refuse_page(link, db)
    for changed in (f"{text}<p>mine", text.replace("as it is", "as I say"), f"mine{text}"):
        page.write_text(changed)
        with pytest.raises(UsageError, match=r"was changed since cva wrote it; .*: --out") as error:
            refuse_page(page, db)
        assert "\n" not in str(error.value)


def export(out: Path) -> None:
    export_model("rule", out, db=out.parent / "shop.duckdb")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("model.onnx", "mine"),
        ("manifest.json", "{}"),
        ("manifest.json", '{"name": "my app"}'),
        ("manifest.json", '{"name": "my app", "sha256": "abc"}'),
        ("manifest.json", '{"tokenizer_sha256": "abc"}'),
    ],
)
def test_an_export_replaces_no_file_of_the_users(tmp_path: Path, name: str, text: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text(text)
    with pytest.raises(UsageError, match="is of no export of cva's"):
        export(out)
    assert contents(out) == {name: text.encode()}


def test_an_export_replaces_a_former_one_but_not_if_it_was_changed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(out)
    export(out)
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "version": "older"}))
    export(out)
    assert json.loads((out / "manifest.json").read_text()) == manifest
    (out / "model.onnx").write_bytes(b"retrained by me")
    with pytest.raises(UsageError, match=r"model\.onnx is of no export"):
        export(out)
    (out / "model.onnx").unlink()
    (out / "model.onnx").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"model\.onnx is of no export"):
        export(out)
    assert not (tmp_path / "elsewhere").exists()


def test_an_export_replaces_no_model_that_the_users_own_manifest_names(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.onnx").write_bytes(b"mine")
    mine = {"name": "my app", "sha256": hashlib.sha256(b"mine").hexdigest()}
    (out / "manifest.json").write_text(json.dumps(mine))
    before = contents(out)
    with pytest.raises(UsageError, match="is of no export of cva's"):
        export(out)
    assert contents(out) == before


def test_an_export_replaces_no_manifest_without_its_model(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(out)
    (out / "model.onnx").unlink()
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "version": "mine"}))
    with pytest.raises(UsageError, match=r"manifest\.json is of no export"):
        export(out)


def test_an_export_that_was_killed_before_its_manifest_is_made_again(tmp_path: Path) -> None:
    out, model = tmp_path / "out", b"of a former export"
    export(out)
    manifest = json.loads((out / "manifest.json").read_text())
    former = {**manifest, "sha256": hashlib.sha256(model).hexdigest()}
    (out / "manifest.json").write_text(json.dumps(former))
    export(out)  # the model is the new one, the manifest that of the former
    assert json.loads((out / "manifest.json").read_text()) == manifest
    (out / "model.onnx").write_bytes(model)
    (out / "manifest.json").write_text(json.dumps(former))
    export(out)
    assert json.loads((out / "manifest.json").read_text()) == manifest


def test_an_encoder_is_exported_over_a_former_one_alone(tmp_path: Path) -> None:
    packaged = encoder_folder(tmp_path)
    manifest = json.loads((packaged / "manifest.json").read_text())
    files = {name: b"former" for name in ("model.onnx", "tokenizer.json")}
    digest = hashlib.sha256(b"former").hexdigest()
    former = {**manifest, "sha256": digest, "tokenizer_sha256": digest}
    out, new = tmp_path / "out", {name: b"new" for name in (*files, "manifest.json")}
    write_export(out, {**files, "manifest.json": json.dumps(former).encode()})
    write_export(out, new)
    assert contents(out) == new
    with pytest.raises(UsageError, match="is of no export"):
        write_export(out, files)


def test_init_leaves_a_project_of_the_same_name_alone(tmp_path: Path) -> None:
    fork = tmp_path / COPY
    fork.mkdir()
    (fork / "dbt_project.yml").write_text("name: cva\nversion: 1.0.0\n")
    (fork / "mine.sql").write_text("select 1")
    with pytest.raises(CvaError, match="is not a copy of cva's dbt package"):
        init_project(tmp_path)
    assert (fork / "mine.sql").read_text() == "select 1"


OWN = 'name: mine\nprofile: mine\nversion: "1.0"\nmodel-paths: [dbt/models]\n'
LIST = "packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.3.0\n"
LINKS = {  # what a project of the user's has as a link, and what is at its end: None for a folder
    "packages.yml": LIST,
    ".gitignore": "mine\n",
    "dbt": None,
    COPY: None,
    f".{COPY}.new": None,
    f".{COPY}.old": None,
}


@pytest.fixture
def own_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dbt project of the user's, whose profile is nowhere."""
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text(OWN)
    return folder


CASES = [(link, is_there) for link in LINKS for is_there in (True, False)]


@pytest.mark.parametrize(("link", "is_there"), [*CASES, ("profiles.yml", False)])
def test_init_writes_through_no_link_and_nothing_beside_it(
    tmp_path: Path, own_project: Path, link: str, is_there: bool
) -> None:
    end = tmp_path / "outside"
    if is_there:
        text = LINKS[link]
        end.mkdir() if text is None else end.write_text(text)
    (own_project / link).symlink_to(end)
    before = sorted(tmp_path.rglob("*")), contents(tmp_path)
    with pytest.raises(CvaError) as error:
        init_project(own_project)
    said = str(error.value)
    assert said.startswith(f"{own_project / link} is ")
    assert "of the project's own in its place" in said or "move it out of the way" in said
    assert "\n" not in said
    assert (sorted(tmp_path.rglob("*")), contents(tmp_path)) == before


def test_init_takes_links_that_it_only_reads(tmp_path: Path, own_project: Path) -> None:
    names = ("dbt_project.yml", "profiles.yml", "packages.yml")
    texts = (OWN, "mine: {}\n", f"{LIST}  - local: {COPY}\n")
    for name, text in zip(names, texts, strict=True):
        (tmp_path / name).write_text(text)
        (own_project / name).unlink(missing_ok=True)
        (own_project / name).symlink_to(f"../{name}")
    kept = [line for line in init_project(own_project).lines if line.startswith("kept")]
    assert [line.split()[1] for line in kept] == list(names)
    assert tuple((tmp_path / name).read_text() for name in names) == texts


def test_init_says_what_a_linked_file_lacks(tmp_path: Path, own_project: Path) -> None:
    (tmp_path / "shared.yml").write_text(LIST)
    (own_project / "packages.yml").symlink_to("../shared.yml")
    with pytest.raises(CvaError, match=f"add to .*packages.yml: - local: {COPY}; or put a file"):
        init_project(own_project)


def test_init_leaves_no_half_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_room)
    with pytest.raises(CvaError, match=r"has no room: about 1,000,000 bytes are needed"):
        init_project(tmp_path / "project")
    assert contents(tmp_path) == {}
    monkeypatch.undo()
    init_project(tmp_path / "project")
    assert (tmp_path / "project" / COPY / "dbt_project.yml").read_text().startswith(MARK)
