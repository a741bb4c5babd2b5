"""Customers a second of cva_explain in SQL, against LightGBM's pred_contrib and shap.

pred_contrib explains the model's two boosters alone, in their own logs, path-dependent: no
families, no money, nothing of the other members. shap's PermutationExplainer explains the same file
in the same game (one family's features, the other families the customer's own) for a few customers,
with as many permutations; both errors are against a hundred permutations.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench_scoring import THREADS, prepare, timed
from shop import make_shop

REPETITIONS = 3
LARGE = 50_000  # customers; from here on one repetition, each takes a minute and more
CUSTOMERS = 96  # that both explain for the error; of 32, one alone had nine tenths of it
LONG_RUN = 100  # orders, each with its reverse
PLAIN_BUDGETS = (4, 16, 64)  # orders, each with its reverse, that shap is given
FAMILY_BUDGETS = (1, 3, 9)
TIMED_ROWS = 1024  # customers of one part of cva_explain, explained by one thread


def explain_all(db: Path, models_dir: Path) -> None:
    """Prints seconds and memory of one cva_explain over customer_features as JSON."""
    import duckdb

    from cva_sql.udfs.register import register, unregister

    con = duckdb.connect(str(db), read_only=True, config={"threads": THREADS})
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
    return model.members.preparation.apply(SimpleNamespace(numbers=filled, categories={})).features


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
    """Some customers' game, evaluated by the whole file; the context of each family."""

    game: Any
    whole: Any
    contexts: list[Any]

    @property
    def families(self) -> list[Any]:
        """Masks of the players of each family."""
        of = self.game.explainer.family_of
        return [of == place for place in range(len(self.game.explainer.families))]


def draw_race(db: Path, models_dir: Path, rows: int) -> Race:
    """The game of some customers, drawn by hash."""
    import duckdb

    from cva_sql.udfs.coalitions import Game, load_explainer
    from cva_sql.udfs.explain import find_context
    from cva_sql.udfs.manifest import inputs_from_columns
    from cva_sql.udfs.play import WholePlay
    from cva_sql.udfs.sessions import deployed_folder

    con = duckdb.connect(str(db), read_only=True)
    query = f"from customer_features order by hash(customer_id) limit {rows}"
    table = con.sql(query).to_arrow_table()
    con.close()
    explainer = load_explainer(deployed_folder(models_dir))
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    game = Game(explainer, inputs_from_columns(explainer.manifest, columns, len(table)), len(table))
    whole = WholePlay(game)
    lines, _ = whole.families()
    places = range(len(explainer.families))
    return Race(game, whole, [find_context(lines, place) for place in places])


def long_run(race: Race, players: Any, context: Any) -> tuple[Any, Any]:
    """Shares in logs of these players by many orders, and their standard errors."""
    import numpy as np

    from cva_sql.udfs.play import sampled

    random = np.random.default_rng(1)
    orders = [random.permutation(players) for _ in range(LONG_RUN)]
    links, error = sampled([race.whole.pair(order, context) for order in orders])
    return links, error


def long_run_by_family(race: Race) -> tuple[Any, Any]:
    """Long-run shares of our game, and their standard errors."""
    import numpy as np

    pairs = [
        long_run(race, np.flatnonzero(mine), context)
        for mine, context in zip(race.families, race.contexts, strict=True)
    ]
    return sum(links for links, _ in pairs), sum(error for _, error in pairs)


def our_links(race: Race) -> Any:
    """Shares in logs as cva_explain finds them, before they become money."""
    from cva_sql.udfs.play import FormulaPlay

    play = FormulaPlay(race.game)
    play.families()
    return sum(play.shares(place, context)[0] for place, context in enumerate(race.contexts))


def shap_links(race: Race, groups: Sequence[tuple[Any, Any]], orders: int) -> Any:
    """PermutationExplainer's values, each group of players (a mask) in its context, by row."""
    import numpy as np
    import shap

    from cva_sql.udfs.play import family_table

    game, table = race.game, family_table(race.game.explainer)
    total = np.zeros(game.differs.shape)
    for row in range(game.rows):
        for group, context in groups:
            players = np.flatnonzero(group & game.differs[row])
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


def root_mean_square(race: Race, found: Any, reference: tuple[Any, Any]) -> float:
    """The error in logs of features that differ, less what the long run itself is off."""
    import numpy as np

    differs, (mean, error) = race.game.differs, reference
    square = np.mean((found - mean)[differs] ** 2) - np.mean(error[differs] ** 2)
    return float(np.sqrt(max(square, 1e-18)))


def milliseconds_of_ours(db: Path, models_dir: Path) -> float:
    """Of one thread a customer, with coalitions of families and money."""
    from cva_sql.udfs.explain import explain_game

    game = draw_race(db, models_dir, TIMED_ROWS).game
    seconds = [timed(lambda: explain_game(game)) for _ in range(REPETITIONS)]
    return 1000 * statistics.median(seconds) / float(game.rows)


def measure_accuracy(db: Path, models_dir: Path) -> None:
    """Prints shap's time a customer over ours at the error that ours has, in both games."""
    import numpy as np

    race = draw_race(db, models_dir, CUSTOMERS)
    own = long_run_by_family(race)
    error, ours = root_mean_square(race, our_links(race), own), milliseconds_of_ours(db, models_dir)
    everybody = np.ones(len(race.game.explainer.players), dtype=bool)
    nobody = np.zeros(race.game.rows, dtype=np.int64)
    plain = long_run(race, np.flatnonzero(everybody), nobody)
    size = float(np.sqrt(np.mean(own[0][race.game.differs] ** 2)))
    print(
        f"  error in logs on {race.game.rows} customers against {LONG_RUN} orders and their "
        f"reverses: ours {error:.5f} of attributions of {size:.3f}, {ours:.2f} ms a customer of "
        "one thread"
    )
    groups = list(zip(race.families, race.contexts, strict=True))
    for name, reference, game, budgets in (
        ("plain game, its own long run", plain, [(everybody, nobody)], PLAIN_BUDGETS),
        ("our game, the same long run", own, groups, FAMILY_BUDGETS),
    ):
        shap_links(race, game, 1)  # warms up: shap compiles
        errors, times = [], []
        for budget in budgets:
            started = time.perf_counter()
            found = shap_links(race, game, budget)
            times.append(1000 * (time.perf_counter() - started) / race.game.rows)
            errors.append(root_mean_square(race, found, reference))
        print_shap(name, budgets, errors, times, error, ours)


def print_shap(
    name: str,
    budgets: Sequence[int],
    errors: Sequence[float],
    times: Sequence[float],
    error: float,
    ours: float,
) -> None:
    """What shap was given, and its time at our error.

    An error falls with the root of the orders, a time is a line in them: both are fitted to all
    budgets, since a few customers make most of an error.
    """
    import numpy as np

    from cva_sql.udfs.play import PAIRS

    given = np.asarray(budgets, dtype=float)
    orders = float(np.exp(np.mean(np.log(given * (np.asarray(errors) / error) ** 2))))
    per_order, call = np.polyfit(given, times, 1)
    needed = max(float(call), 0.0) + float(per_order) * orders
    where = "within" if min(budgets) <= orders <= max(budgets) else "extrapolated from"
    told = ", ".join(
        f"{error:.5f} by {budget} in {milliseconds:.0f} ms"
        for budget, error, milliseconds in zip(budgets, errors, times, strict=True)
    )
    print(f"  shap PermutationExplainer, {name}: {told}")
    print(
        f"    our error takes {orders:,.1f} orders ({where} these), {needed:,.1f} ms a customer: "
        f"{needed / ours:,.1f} x our time; of our {PAIRS} orders its error is "
        f"{(orders / PAIRS) ** 0.5:.1f} x ours"
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
    for place, size in enumerate(options.customers.split(",")):
        measure(int(size), with_accuracy=place == 0)


if __name__ == "__main__":
    main()
