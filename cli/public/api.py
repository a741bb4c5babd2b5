"""A shop in Python: what the commands do, for a notebook or a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.access import AnyPath, paths_of, reading, texts_of, writing
from cva_sql.raw_shop import RawShop

if TYPE_CHECKING:
    from cva_sql.alerts import Alerts
    from cva_sql.cli.audience.writing import Audience
    from cva_sql.cli.backfill.filling import Backfilled
    from cva_sql.cli.doctor.examination import Report
    from cva_sql.cli.evaluate.evaluation import Evaluation
    from cva_sql.cli.explain.explanation import Explained
    from cva_sql.cli.forget.erasing import Forgotten
    from cva_sql.cli.models.inventory import Model
    from cva_sql.cli.person.reading import Person
    from cva_sql.cli.publish.book import Book
    from cva_sql.cli.publish.postgresql import Copied
    from cva_sql.cli.recommend.learning import Recommended
    from cva_sql.cli.report.writing import Written
    from cva_sql.cli.run.build import Run
    from cva_sql.cli.run.drift import Drift
    from cva_sql.cli.score.scorer import Facts, RowScore, Scorer
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.cli.train.training import Trained


@dataclass(frozen=True)
class Models:
    """The value models, the newest first and the packaged rule last, and the text encoder."""

    value: list[Model]
    encoder: dict[str, Any]


class Shop(RawShop):
    """A shop's database, the models beside it, and the dbt project that builds its tables.

    `db` is the DuckDB file; without it, that of the dbt project in `project`, or in this folder.
    `models_dir`, `published` and `work_dir` are by default `cva_models/`, `published/` and `.cva/`
    beside the database, which owns them. `vars` are dbt vars. `as_of` is the date to look from
    (default: after the newest order), `horizon_days` the length of the forecast.

    Between two calls no connection is open. Close your own to the same file before a call that
    writes: dbt runs in a process of its own. Progress goes to stderr. Whatever fails raises
    CvaError, and what cannot be taken its subclass UsageError, with a message of one line.
    """

    def train(
        self,
        *,
        deploy: bool | str = True,
        withdraw: bool = False,
        tune_minutes: float | None = None,
        tensorboard: str | Path | None = None,
    ) -> Trained:
        """Trains on past dates and deploys what won; `deploy`: false for nothing, or a candidate.

        `withdraw`: where nothing could be judged, no trained model scores any more.
        `tune_minutes`: look so long for better settings of members first. `tensorboard`: a folder
        to which the curves of the training are added.
        """
        from cva_sql.cli.train.deployment import Wish
        from cva_sql.cli.train.training import train_shop

        wish = Wish(bool(deploy), withdraw, deploy if isinstance(deploy, str) else None)
        board = None if tensorboard is None else Path(tensorboard)
        return writing(
            self._shop,
            lambda shop: train_shop(shop, wish, tune_minutes=tune_minutes, tensorboard=board),
        )

    def run(
        self, *, allow_empty: bool = False, accept_drift: bool = False, adopt: bool = False
    ) -> Run:
        """Builds, tests and publishes the tables, or changes nothing.

        `allow_empty`: also without customers, or with less than half of those published before.
        `accept_drift`: also where customers are not those that the model learned from.
        `adopt`: the database was renamed or moved, and takes over the folders it had.
        """
        from cva_sql.cli.run.build import run_shop
        from cva_sql.cli.shop.owner import adopt as take_over

        if adopt:
            take_over(reading(self._shop))
        return writing(
            self._shop,
            lambda shop: run_shop(shop, allow_empty=allow_empty, accept_drift=accept_drift),
        )

    def drift(self) -> Drift:
        """How far customers are from those that the deployed model learned from, by input.

        As the last `run` built it, published or not; the worst first.
        """
        from cva_sql.cli.run.drift import read_drift

        return read_drift(reading(self._shop))

    def evaluate(
        self,
        dates: Iterable[date | str] = (),
        *,
        replicates: int = 200,
        ablation: bool = False,
    ) -> Evaluation:
        """Back-tests on past dates (default: three), beside simple rules.

        `replicates` are bootstrap resamples for the intervals. `ablation`: also the ensemble
        without each of its ingredients. Writes cva_model_metrics, _deciles and _groups.
        """
        from cva_sql.cli.evaluate.evaluation import evaluate_shop, write_evaluation
        from cva_sql.cli.shop.resolver import parse_date

        days = [parse_date(str(day), "as_of") for day in dates]

        def evaluate(shop: ResolvedShop) -> Evaluation:
            found = evaluate_shop(shop, days, replicates, is_ablated=ablation)
            return write_evaluation(shop, found)

        return writing(self._shop, evaluate)

    def backfill(
        self, first: date | str, *, step: str = "month", replace: bool = False
    ) -> Backfilled:
        """Fills customer_value_history with past dates, each by a model trained as of it.

        From `first` on, a `step` (week, month, quarter) apart, before the date that `run` looks
        from. `replace`: also dates that an earlier backfill did. `dates` are those that were
        filled, the first first, `kept` those left as they are. Each date is trained for; the next
        `run` publishes them. Raises UsageError for a date that cannot be looked from.
        """
        from cva_sql.cli.backfill.filling import backfill_shop
        from cva_sql.cli.shop.resolver import parse_date

        start = parse_date(str(first), "first")
        return writing(
            self._shop, lambda shop: backfill_shop(shop, start, step, is_to_replace=replace)
        )

    def recommend(self) -> Recommended:
        """Judges what recommends, deploys the best, and writes the table recommendations.

        Works on what the last `run` built; the next one publishes the lists, and each makes them
        anew. Raises CvaError where no order names its products.
        """
        from cva_sql.cli.recommend.learning import recommend_shop

        return writing(self._shop, recommend_shop)

    def explain(
        self,
        customer_id: str,
        *,
        changes: Mapping[str, str | float | None] | None = None,
        members: bool = False,
    ) -> Explained:
        """A customer's prediction, what it is made of, and what changed features make of it.

        `changes` maps features to a new value (3, None, 'shop') or a change ('+1', '*1.5').
        With `members` also what each member of the model predicts. Attributions say what the model
        looked at; they are not causes.
        """
        from cva_sql.cli.explain.explanation import explain_customer

        told = {name: _change(change) for name, change in (changes or {}).items()}
        return explain_customer(reading(self._shop), str(customer_id), told, members=members)

    def scores(self, *, columns: Sequence[str] | None = None, published: bool = False) -> Any:
        """customer_value as a pyarrow Table, in order of customer_id.

        `columns` chooses columns. `published`: the rows that readers see, of the last `run` that
        succeeded, whatever is being built. `.to_pandas()` and `polars.from_arrow` take it on.
        """
        from cva_sql.cli.run.scores import read_scores

        return read_scores(self._shop if published else reading(self._shop), columns, published)

    def scorer(self) -> Scorer:
        """What scores customers with facts given in the call, many times a second.

        A context: `with shop.scorer() as scorer: scorer.score_rows("C1", {"orders": [...]})`. While
        it is open nothing can write the shop. Needs `run`; raises CvaError without.
        """
        from cva_sql.cli.score.scorer import Scorer

        return Scorer(reading(self._shop))

    def score_rows(self, customer_id: str, facts: Facts | None = None) -> RowScore:
        """One customer's score with `facts` on top of what is stored: see `Scorer.score_rows`."""
        with self.scorer() as scorer:
            return scorer.score_rows(customer_id, facts)

    @property
    def alerts(self) -> Alerts:
        """Who is leaving: `list`, `ack`, `resolve` and `send` their alerts."""
        from cva_sql.alerts import Alerts

        return Alerts(self._shop)

    def audience(
        self,
        condition: str,
        out: AnyPath,
        *,
        to: str = "csv",
        value: str = "predicted_value",
        without_consent: bool = False,
        suppress: AnyPath | Iterable[AnyPath] = (),
        replace: bool = False,
    ) -> Audience:
        """Writes customers with e-mail, phone and value into a file that a marketing tool imports.

        `condition` is SQL over customer_value and customer_segments as published last. `to` is the
        importer: csv, xlsx, klaviyo, hubspot, mailchimp, or with hashes google-customer-match and
        meta-value. `value` is predicted_value, clv, historic_value (money in the shop's currency)
        or score (0 to 100); an empty cell where it is null. Only who is known to consent, unless
        `without_consent`; nobody of the files in `suppress`, an id or e-mail a line. `left_out`
        counts customers by reason. Raises UsageError where `out` exists, unless `replace`. Only
        its owner may read the file; nothing is sent.
        """
        from cva_sql.cli.audience.writing import write_audience

        return writing(
            self._shop,
            lambda shop: write_audience(
                shop,
                condition,
                Path(out),
                to,
                value=value,
                needs_consent=not without_consent,
                suppressed=paths_of(suppress),
                is_to_replace=replace,
            ),
        )

    def publish(self, to: AnyPath, *, adopt: bool = False) -> Book | Copied:
        """Copies what was published last into PostgreSQL or a workbook; all of it, or nothing.

        `to` is postgresql://user@host/database (tables into ?schema=cva), the environment variable
        that holds it, or a file.xlsx. `adopt`: the database was renamed or moved, and takes over
        what it made. `rows` are counts by table or sheet; of PostgreSQL also what was `dropped` or
        `emptied` as no longer published. Raises CvaError for what cva did not make.
        """
        from cva_sql.cli.publish.publishing import publish_shop

        return publish_shop(reading(self._shop), fspath(to), is_to_adopt=adopt)

    def person(self, customer_id: str) -> Person:
        """Everything that is kept of one person, by any of their ids, table by table.

        `tables` have the rows as dicts: raw ones, features, scores, alerts, what was read of their
        texts, published ones. `reasons` are the sentences of customer_value. Raises UsageError
        where nothing is kept.
        """
        from cva_sql.cli.person.reading import read_person

        return read_person(reading(self._shop), str(customer_id))

    def forget(
        self, customer_ids: str | Iterable[str], *, even_if_unknown: bool = False
    ) -> Forgotten:
        """Erases customers from the database, published runs, caches and logs, for good.

        All of them, or none: raises UsageError for one of whom nothing is kept, unless
        `even_if_unknown`, which keeps a file from bringing them in later. `left` names tables of
        your own that have them, which stay as they are. After a kill the same call goes on.
        """
        from cva_sql.cli.forget.erasing import forget_people

        named = texts_of(customer_ids)
        return writing(
            self._shop,
            lambda shop: forget_people(shop, named, even_if_unknown=even_if_unknown),
            needs_orders=False,
        )

    def report(self, path: AnyPath = "report.html") -> Written:
        """Writes what the tables say into one HTML file that opens offline."""
        from cva_sql.cli.report.writing import write_report

        return write_report(reading(self._shop), Path(path))

    def doctor(self) -> Report:
        """What is there, what is wrong with it and what to do next; nothing is written."""
        from cva_sql.cli.doctor.examination import examine

        return examine(reading(self._shop))

    def models(self) -> Models:
        """The trained models, the packaged rule and the encoder; which of them scores."""
        from cva_sql.cli.models.inventory import encoder_summary, value_models

        return Models(
            value_models(self.models_dir), encoder_summary(self.models_dir, self._shop.encoder_tier)
        )

    def sql(self, query: str) -> Any:
        """What a SQL query gives as a pyarrow Table, with cva_sentiment, cva_predict … at hand.

        Queries that only read open the database for reading. Of several statements, the last.
        """
        from cva_sql.cli.sql.session import query_shop

        return query_shop(reading(self._shop), query)


def _change(change: str | float | None) -> str:
    """A change as `cva explain --set` takes it; a number sets, whatever its sign."""
    if change is None:
        return "null"
    return change if isinstance(change, str) else f"={change}"
