"""`cva finetune` without torch: what can be asked, whose encoder reads, when one is better."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cva_sql.cli.app import app
from cva_sql.cli.finetune import store
from cva_sql.cli.finetune.settings import Request, read_params
from cva_sql.cli.finetune.store import candidates, put_in_place, store_candidate
from cva_sql.cli.finetune.texts import Reviews, _corpus, _judged
from cva_sql.cli.models.inventory import other_models
from cva_sql.cli.shop.encoder_place import PARKED, WANTED, mend
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.models_onnx.encoder.finetune.corpus import Corpus, is_held_out
from cva_sql.models_onnx.encoder.finetune.gate import Judged, judge
from cva_sql.models_onnx.encoder.finetune.methods import require_extra
from cva_sql.models_onnx.encoder.finetune.recipe import (
    METHODS,
    make_recipe,
    parse_objectives,
    recipe_of,
    show_settings,
)
from cva_sql.udfs.encoder import (
    EncoderManifest,
    encoder_folder,
    load_encoder,
    read_encoder_manifest,
)
from cva_sql.udfs.errors import CvaError, ModelError, UsageError

PACKAGED = encoder_folder(Path("nowhere"))


def test_what_is_asked_is_read_and_refused_in_one_line(tmp_path: Path) -> None:
    recipe = make_recipe(None, "contrastive=1, rating=0.5", None, {"rank": "16"})
    assert (recipe.method, recipe.steps, recipe.whole("rank")) == ("lora", 600, 16)
    assert recipe.objectives == {"contrastive": 1.0, "rating": 0.5}
    assert recipe_of(recipe.to_dict()) == recipe
    for text in ("stars", "rating=0", "rating=x", "rating,rating", "", "mlm=-1", "mlm=nan"):
        with pytest.raises(UsageError, match="--objective"):
            parse_objectives(text)
    for method, steps, given, words in (
        ("lara", 1, {}, "--method lara: expected lora, adalora, adapter, full"),
        ("lora", 0, {}, "--steps 0: expected"),
        ("lora", 1, {"rnak": 1}, "nearest: rank"),
        ("lora", 1, {"rank": 0}, "--params: rank is '0'; expected a whole number from 1"),
        ("full", 1, {"rank": 8}, "--params has rank for method full"),
    ):
        with pytest.raises(UsageError, match=words):
            make_recipe(method, None, steps, given)
    file = tmp_path / "own.yml"
    file.write_text("rank: 4\nlearning_rate: 1e-3\n")
    assert read_params(str(file)) == {"rank": 4, "learning_rate": "1e-3"}
    assert read_params("rank=4, seed=3") == {"rank": "4", "seed": "3"}
    for text in ("rank=", "nowhere.yml", str(tmp_path)):
        with pytest.raises(UsageError, match="--params"):
            read_params(text)
    assert all(f"--method {method}\n" in show_settings() for method in METHODS)
    with pytest.raises(UsageError, match="leave out --no-deploy"):
        Request(deploy=False).refuse_beside_deploy()
    for given in (["--as-of", "2024-05-06"], ["--horizon-days", "20"]):
        call = ["finetune", "--db", str(tmp_path / "no.duckdb"), "--deploy", "packaged", *given]
        with pytest.raises(UsageError, match=f"leave out {given[0]}"):
            app(call, standalone_mode=False)


def test_a_missing_extra_is_said_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(CvaError, match=r"`torch` is missing.*pip install 'cva-sql\[encoder\]'"):
        require_extra()


def files_of(marker: str) -> dict[str, bytes]:
    """The packaged encoder as one of another key."""
    found = {file.name: file.read_bytes() for file in PACKAGED.iterdir()}
    manifest = read_encoder_manifest(PACKAGED)
    other = {**manifest.__dict__, "pooling": f"{manifest.pooling} {marker}"}
    return {**found, "manifest.json": EncoderManifest(**other).to_json().encode()}


def key_of(files: dict[str, bytes], folder: Path) -> str:
    folder.mkdir()
    (folder / "manifest.json").write_bytes(files["manifest.json"])
    return read_encoder_manifest(folder).key


def test_an_encoder_is_deployed_and_what_it_replaces_is_kept(tmp_path: Path) -> None:
    models = tmp_path / "models"
    mine, taught = files_of("mine"), files_of("taught")
    my_key, key = key_of(mine, tmp_path / "a"), key_of(taught, tmp_path / "b")
    own = models / "encoder"
    own.mkdir(parents=True)
    for name, data in {**mine, "note.txt": b"mine"}.items():
        (own / name).write_bytes(data)
    with pytest.raises(UsageError, match=rf"--deploy {key}: .* there are: packaged"):
        put_in_place(models, key)
    store_candidate(models, key, taught)
    assert put_in_place(models, key).key == key
    assert candidates(models) == sorted([my_key, key])
    assert put_in_place(models, key).key == key  # again changes nothing
    assert put_in_place(models, my_key).key == my_key
    assert (own / "note.txt").read_bytes() == b"mine"
    assert put_in_place(models, "packaged").key == read_encoder_manifest(PACKAGED).key
    assert not own.exists()
    put_in_place(models, key)
    assert put_in_place(models, read_encoder_manifest(PACKAGED).key).sha256  # the way back
    assert not own.exists()
    assert candidates(models) == sorted([my_key, key])
    assert other_models(models) == {}
    load_encoder.cache_clear()
    (models / "encoder_candidates" / key / "model.onnx").write_bytes(b"other")
    with pytest.raises(ModelError, match="sha256"):
        put_in_place(models, key)
    assert not own.exists()


def test_a_folder_that_is_no_encoder_is_not_overwritten(tmp_path: Path) -> None:
    taught = files_of("taught")
    key = key_of(taught, tmp_path / "b")
    store_candidate(tmp_path, key, taught)
    own = tmp_path / "encoder"
    own.mkdir()
    (own / "thesis.txt").write_text("mine")
    with pytest.raises(CvaError, match="it is not overwritten"):
        put_in_place(tmp_path, key)
    assert [file.name for file in own.iterdir()] == ["thesis.txt"]
    shutil.rmtree(own)
    own.symlink_to(tmp_path / "encoder_candidates" / key)
    with pytest.raises(CvaError, match="is a link"):
        put_in_place(tmp_path, key)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_killed_while_it_is_put_in_place_one_encoder_or_the_other_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    mine, taught = files_of("mine"), files_of("taught")
    my_key, key = key_of(mine, tmp_path / "a"), key_of(taught, tmp_path / "b")
    models = tmp_path / "models"
    for one in (my_key, key):
        store_candidate(models, one, mine if one == my_key else taught)
    put_in_place(models, my_key)
    shutil.rmtree(models / "encoder_candidates" / my_key)
    rename, calls = Path.rename, 0

    def killed(path: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == at:
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            put_in_place(models, key)
    mend(models)
    assert read_encoder_manifest(encoder_folder(models)).key == my_key
    assert not (models / PARKED).exists()
    assert put_in_place(models, key).key == key
    assert my_key in candidates(models)


def dying(monkeypatch: pytest.MonkeyPatch, at: int) -> pytest.MonkeyPatch:
    """Dies before the change of this number that `_swap` makes to the folder."""
    calls = 0

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def one(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                raise KeyboardInterrupt
            return change(*args, **kwargs)

        return one

    swap = store._swap

    def patched(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(store, "write_atomic", counted(store.write_atomic))
        monkeypatch.setattr(Path, "rename", counted(Path.rename))
        monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
        monkeypatch.setattr(shutil, "rmtree", counted(shutil.rmtree))
        swap(*args, **kwargs)

    monkeypatch.setattr(store, "_swap", patched)
    return monkeypatch


@pytest.mark.parametrize("is_packaged", [False, True])
@pytest.mark.parametrize("at", range(1, 6))
def test_the_next_command_ends_what_a_kill_left_and_says_which_encoder_reads(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    at: int,
    is_packaged: bool,
) -> None:
    mine, taught = files_of("mine"), files_of("taught")
    my_key, key = key_of(mine, tmp_path / "a"), key_of(taught, tmp_path / "b")
    shop = ResolvedShop(tmp_path / "shop.duckdb", tmp_path / "models", {})
    store_candidate(shop.models_dir, my_key, mine)
    store_candidate(shop.models_dir, key, taught)
    put_in_place(shop.models_dir, my_key)
    wanted = "packaged" if is_packaged else key
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        dying(patch, at)
        put_in_place(shop.models_dir, wanted)
    was_read = read_encoder_manifest(encoder_folder(shop.models_dir)).key
    is_to_say = (shop.models_dir / WANTED).exists()
    with exclusive(shop):
        reads = read_encoder_manifest(encoder_folder(shop.models_dir)).key
    packaged = read_encoder_manifest(PACKAGED).key
    if was_read == packaged and not is_packaged:
        assert reads == my_key  # nobody asked for the packaged one
    else:
        assert reads == was_read
    said = capsys.readouterr().err
    name = "packaged" if reads == packaged else reads
    assert (f"encoder {name} reads" in said) == is_to_say
    assert (f"cva finetune --deploy {wanted}" in said) == (is_to_say and reads == my_key)
    assert not (shop.models_dir / PARKED).exists()
    assert not (shop.models_dir / WANTED).exists()
    with exclusive(shop):
        assert read_encoder_manifest(encoder_folder(shop.models_dir)).key == reads
    assert capsys.readouterr().err == ""
    assert candidates(shop.models_dir) == sorted([my_key, key])


def test_another_databases_encoder_is_not_mended(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / PARKED).mkdir(parents=True)
    (models / ".cva_database").write_text("other.duckdb\n")
    with exclusive(ResolvedShop(tmp_path / "shop.duckdb", models, {})):
        assert (models / PARKED).is_dir()


def judged(rows: int = 400) -> tuple[Judged, NDArray[np.float32], NDArray[np.float32]]:
    """Vectors of which the first knows nothing and the second the ratings."""
    draw = np.random.default_rng(1)
    ratings = draw.choice([1.0, 5.0], rows)
    noise = draw.normal(size=(rows, 8)).astype(np.float32)
    knows = noise.copy()
    knows[:, 0] += ratings.astype(np.float32) / 2
    return (
        Judged(
            tuple(f"c{n}" for n in range(rows)),
            ratings,
            np.full(rows, np.nan),
            np.arange(rows) >= rows // 2,
            np.ones(rows, dtype=np.bool_),
        ),
        noise,
        knows,
    )


def test_an_encoder_is_better_where_its_interval_is_above_nothing() -> None:
    texts, noise, knows = judged()
    rating = make_recipe(None, "rating", None, {})
    won = judge(texts, noise, knows, rating)
    assert won.is_better
    assert won.figures[0].lower > 0
    assert "AUC of ratings" in won.reason
    assert not judge(texts, knows, noise, rating).is_better
    same = judge(texts, knows, knows, rating)
    assert not same.is_better
    assert same.figures[0].difference == 0
    value = judge(texts, noise, knows, make_recipe(None, "value", None, {}))
    assert not value.is_better
    assert value.reason == "not judged: too few later texts for nGini of later spend"


def test_later_spend_decides_where_it_was_taught() -> None:
    texts, noise, knows = judged()
    spends = np.where(texts.ratings > 3, 100.0, 0.0) + 1.0 * np.arange(len(texts.ratings)) / 100
    paid = Judged(texts.customers, texts.ratings * np.nan, spends, texts.is_later, texts.is_unseen)
    won = judge(paid, noise, knows, make_recipe(None, "value", None, {}))
    assert won.is_better
    assert [figure.name for figure in won.figures] == ["ngini"]
    both = Judged(texts.customers, 6 - texts.ratings, spends, texts.is_later, texts.is_unseen)
    mixed = judge(both, noise, knows, make_recipe(None, "value,rating", None, {}))
    assert {figure.name for figure in mixed.figures} == {"auc", "ngini"}


class Reads:
    """An encoder that cannot read emojis."""

    def status(self, text: str) -> tuple[str, int]:
        return ("unknown_script", 3) if "👍" in text else ("", 3)


def test_nothing_of_after_the_first_cutoff_is_learned_from() -> None:
    from datetime import date

    days = np.array(["2024-01-01", "2024-05-01", "2024-06-01", "2024-06-02"], dtype="datetime64[D]")
    reviews = Reviews(
        ("early", "its window is open", "on the day", "👍"),
        ("a", "b", "c", "d"),
        days,
        np.array([5.0, 1.0, 3.0, 4.0]),
        np.array([10.0, 20.0, 30.0, np.nan]),
        days + 90,
    )
    first = date(2024, 6, 1)
    others = {"a product": "", "👍👍": "", "a ticket": "d"}
    corpus = _corpus(reviews, others, first, Reads())  # type: ignore[arg-type]
    assert corpus.texts == ("early", "its window is open", "a product", "a ticket")
    assert corpus.customers == ("a", "b", "", "d")
    assert corpus.spends[0] == 10.0
    assert np.isnan(corpus.spends[1:]).all()
    texts, bodies = _judged(reviews, first)
    assert bodies == reviews.bodies
    assert list(texts.is_later) == [False, False, True, True]
    assert np.isnan(texts.spends[1])
    assert texts.spends[2] == 30.0
    assert list(texts.is_unseen) == [is_held_out("a"), is_held_out("b"), True, True]


def test_customers_are_held_out_whatever_else_the_shop_has() -> None:
    ids = [f"c{n}" for n in range(1000)]
    nothing = np.full(1000, np.nan)
    corpus = Corpus(tuple(ids), tuple(ids), nothing, nothing)
    assert 150 < corpus.is_held_out.sum() < 250
    part = corpus.select(np.arange(1000) % 2 == 0)
    assert list(part.is_held_out) == list(corpus.is_held_out[::2])
    assert part.fingerprint != corpus.fingerprint
