"""Customers a second of cva_explain in SQL, against LightGBM's pred_contrib and shap.

pred_contrib explains the model's two boosters alone, in their own logs, path-dependent: no
families, no money, nothing of the other members. shap's PermutationExplainer explains the same file
in the same game (one family's features, the other families the customer's own) for a few customers.
Last, how much longer a shop with five more families takes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_scoring import COLUMNS_EACH, THREADS, prepare, timed
from shop import make_shop

REPETITIONS = 3
DUCKDB_MEMORY = "1GB"  # what it may take; of more it writes to disk
LARGE = 50_000  # customers; from here on one repetition, each takes a minute and more
CUSTOMERS = 96  # that both explain for the error; of 32, one alone had nine tenths of it
LONG_RUN = 100  # orders, each with its reverse
SHAP_ORDERS = (1, 3, 9)  # each with its reverse
TIMED_ROWS = 4096  # customers of one part of cva_explain, explained by one thread
MADE_UP = 5  # families beside those of orders, which are three


def explain_all(db: Path, models_dir: Path) -> None:
    """Prints seconds and memory of one cva_explain over customer_features as JSON."""
    import duckdb

    from cva_sql.udfs.register import register, unregister

    config = {"threads": THREADS, "memory_limit": DUCKDB_MEMORY}
    con = duckdb.connect(str(db), read_only=True, config=config)
    register(con, models_dir=models_dir)
    query = "create or replace temp table explained as select customer_id, cva_explain(f) as e from"
    con.execute(f"{query} (from customer_features limit 2000) as f").fetchall()  # warms up
    before = peak_memory()
    seconds = timed(lambda: con.execute(f"{query} customer_features as f").fetchall())
    unregister(con)
    con.close()
    print(json.dumps({"seconds": seconds, "before": before, "peak": peak_memory()}))


def peak_memory() -> float:
    """GB of this process at most so far; Linux alone.

    Not getrusage: a child's figure there begins at its parent's, which has trained a model.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 2**20


def run_apart(db: Path, models_dir: Path) -> dict[str, float]:
    """The figures of `explain_all` in a process of its own: training would hide its memory."""
    call = [sys.executable, __file__, "--explain", str(db), "--models-dir", str(models_dir)]
    done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def read_matrix(con: Any, model: Any) -> Any:
    """The matrix that the model's trees see, of all customers."""
    import numpy as np

    numbers = model.members.preparation.preprocessing.numbers
    names = ", ".join(f'cast("{n}" as float) as "{n}"' for n in numbers)
    columns = con.execute(f"select {names} from customer_features").fetchnumpy()
    filled = {n: np.ma.filled(np.ma.asarray(c), np.nan) for n, c in columns.items()}
    return model.members.preparation.preprocessing.matrix(filled, {}).astype(np.float64)


def measure_speed(db: Path, model: Any, models_dir: Path, customers: int) -> None:
    """Prints customers a second and memory beside LightGBM's pred_contrib."""
    import duckdb

    con = duckdb.connect(str(db), read_only=True, config={"threads": THREADS})
    matrix = read_matrix(con, model)
    con.close()
    fitted = model.members.fitted.values()
    boosters = [member.trees.booster for member in fitted if hasattr(member, "trees")]

    def contribute() -> list[Any]:
        return [b.predict(matrix, pred_contrib=True, num_threads=THREADS) for b in boosters]

    repetitions = 1 if customers >= LARGE else REPETITIONS
    runs, seconds = [], []
    for _ in range(repetitions):
        runs.append(run_apart(db, models_dir))
        seconds.append(timed(contribute))
    ours, theirs = statistics.median(run["seconds"] for run in runs), statistics.median(seconds)
    trees = sum(booster.num_trees() for booster in boosters)
    print(
        f"{len(matrix):,} customers, {matrix.shape[1]} features, kind {model.kind}, "
        f"{THREADS} threads, medians of {repetitions}"
    )
    print(
        f"  cva_explain in SQL: {len(matrix) / ours:,.0f} customers/s ({ours:.1f} s), peak memory "
        f"{max(run['peak'] for run in runs):.2f} GB, of which {runs[0]['before']:.2f} before"
    )
    print(
        f"  LightGBM pred_contrib of {len(boosters)} boosters with {trees} trees, matrix ready: "
        f"{len(matrix) / theirs:,.0f} customers/s; cva_explain takes {ours / theirs:.1f} x as long"
    )


@dataclass(frozen=True)
class Race:
    """Some customers' game, evaluated by its parts; the context of each family."""

    game: Any
    play: Any
    contexts: list[Any]

    def links(self, pairs: int) -> Any:
        """Shares in logs, (rows, players), what is sampled by so many orders and their reverses."""
        from cva_sql.udfs import play

        usual, play.PAIRS = play.PAIRS, pairs
        try:
            return sum(self.play.shares(at, context)[0] for at, context in enumerate(self.contexts))
        finally:
            play.PAIRS = usual


def draw_race(db: Path, models_dir: Path, rows: int) -> Race:
    """The game of some customers, drawn by hash."""
    import duckdb

    from cva_sql.udfs.coalitions import Game
    from cva_sql.udfs.explain import find_context
    from cva_sql.udfs.explainer import load_explainer
    from cva_sql.udfs.manifest import inputs_from_columns
    from cva_sql.udfs.play import FormulaPlay
    from cva_sql.udfs.sessions import deployed_folder

    con = duckdb.connect(str(db), read_only=True)
    query = f"from customer_features order by hash(customer_id) limit {rows}"
    table = con.sql(query).to_arrow_table()
    con.close()
    explainer = load_explainer(deployed_folder(models_dir))
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    game = Game(explainer, inputs_from_columns(explainer.manifest, columns, len(table)), len(table))
    play = FormulaPlay(game)
    lines, _ = play.families()
    places = range(len(explainer.families))
    return Race(game, play, [find_context(lines, place) for place in places])


def shap_links(race: Race, orders: int) -> Any:
    """PermutationExplainer's values of each family's features in its context, by row."""
    import numpy as np
    import shap

    from cva_sql.udfs.play import family_table

    game, table = race.game, family_table(race.game.explainer)
    total = np.zeros(game.differs.shape)
    for family, context in enumerate(race.contexts):
        mine = game.explainer.family_of == family
        for row in range(game.rows):
            players = np.flatnonzero(mine & game.differs[row])
            if not len(players):
                continue
            predict = coalition_log(game, row, table[context[row]], players)
            masker = shap.maskers.Independent(np.zeros((1, len(players))))
            found = shap.PermutationExplainer(predict, masker, seed=row)(
                np.ones((1, len(players))),
                max_evals=orders * (2 * len(players) + 1),
                batch_size=2 * len(players) + 1,
                silent=True,
            )
            total[row, players] = found.values[0]
    return total


def coalition_log(game: Any, row: int, context: Any, players: Any) -> Callable[[Any], Any]:
    """log(predicted_value) of a customer by which players are there, (n, players) of 0 and 1."""
    import numpy as np

    def predict(there: Any) -> Any:
        table = np.tile(context, (len(there), 1))
        table[:, players] = there > 0.5
        lines = np.arange(len(there))
        return np.log(game.values(game.explainer.whole, np.full(len(there), row), lines, table))

    return predict


def root_mean_square(race: Race, found: Any) -> float:
    """Of the features that differ."""
    import numpy as np

    return float(np.sqrt(np.mean(found[race.game.differs] ** 2)))


def milliseconds_of_ours(db: Path, models_dir: Path) -> float:
    """Of one thread a customer, with coalitions of families and money."""
    from cva_sql.udfs.explain import explain_game

    game = draw_race(db, models_dir, TIMED_ROWS).game
    seconds = [timed(lambda: explain_game(game)) for _ in range(REPETITIONS)]
    return 1000 * statistics.median(seconds) / float(game.rows)


def measure_accuracy(db: Path, models_dir: Path) -> None:
    """Prints shap's error and time beside ours."""
    from cva_sql.udfs.play import PAIRS

    race = draw_race(db, models_dir, CUSTOMERS)
    known, ours = race.links(LONG_RUN), milliseconds_of_ours(db, models_dir)
    error = root_mean_square(race, race.links(PAIRS) - known)
    print(
        f"  error in logs on {race.game.rows} customers against {LONG_RUN} orders and their "
        f"reverses: ours {error:.6f} of attributions of {root_mean_square(race, known):.3f}, "
        f"{ours:.3f} ms a customer of one thread"
    )
    shap_links(race, 1)  # warms up: shap compiles
    for orders in SHAP_ORDERS:
        started = time.perf_counter()
        found = shap_links(race, orders)
        theirs = 1000 * (time.perf_counter() - started) / race.game.rows
        off = root_mean_square(race, found - known)
        print(
            f"  shap PermutationExplainer, {orders} orders: {off:.6f}, {off / error:.1f} x ours, "
            f"in {theirs:.1f} ms, {theirs / ours:.0f} x our time"
        )


def measure(customers: int, *, with_accuracy: bool) -> None:
    """Prints one size."""
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "shop.duckdb"
        make_shop(db, customers)
        model, models_dir = prepare(db)
        measure_speed(db, model, models_dir, customers)
        if with_accuracy:
            measure_accuracy(db, models_dir)


def measure_families(customers: int) -> None:
    """Prints how much longer more families take: of the same customers, in turns."""
    seconds: dict[int, list[float]] = {0: [], MADE_UP: []}
    with tempfile.TemporaryDirectory() as folder:
        shops = {}
        for families in seconds:
            db = Path(folder) / str(families) / "shop.duckdb"
            db.parent.mkdir()
            make_shop(db, customers)
            shops[families] = db, prepare(db, families)[1]
        for _ in range(REPETITIONS):
            for families, (db, models_dir) in shops.items():
                seconds[families].append(run_apart(db, models_dir)["seconds"])
    few, many = (statistics.median(times) for times in seconds.values())
    print(
        f"{customers:,} customers, {MADE_UP} more families of {COLUMNS_EACH} columns: {many:.1f} s "
        f"beside {few:.1f} s, {many / few:.2f} x as long"
    )


def main() -> None:
    """Measures every size; the error on the first alone, it needs few customers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", default="20000,100000")
    parser.add_argument("--explain", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--models-dir", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.explain:
        explain_all(options.explain, options.models_dir)
        return
    sizes = [int(size) for size in options.customers.split(",")]
    for place, size in enumerate(sizes):
        measure(size, with_accuracy=place == 0)
    measure_families(sizes[0])


if __name__ == "__main__":
    main()
