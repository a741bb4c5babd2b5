"""A shop in Python: what the commands do, for a notebook or a program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from cva_sql.cli.doctor.examination import Report
    from cva_sql.cli.evaluate.evaluation import Evaluation
    from cva_sql.cli.explain.explanation import Explained
    from cva_sql.cli.load.by_preset import PresetReport
    from cva_sql.cli.load.report import LoadReport
    from cva_sql.cli.models.inventory import Model
    from cva_sql.cli.report.writing import Written
    from cva_sql.cli.run.build import Run
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.cli.train.training import Trained

AnyPath = str | PathLike[str]
Made = TypeVar("Made")


@dataclass(frozen=True)
class Models:
    """The value models, the newest first and the packaged rule last, and the text encoder."""

    value: list[Model]
    encoder: dict[str, Any]


class Shop:
    """A shop's database, the models beside it, and the dbt project that builds its tables.

    `db` is the DuckDB file; without it, that of the dbt project in `project`, or in this folder.
    `models_dir`, `published` and `work_dir` are by default `cva_models/`, `published/` and `.cva/`
    beside the database, which owns them. `vars` are dbt vars. `as_of` is the date to look from
    (default: after the newest order), `horizon_days` the length of the forecast.

    Between two calls no connection is open. Close your own to the same file before a call that
    writes: dbt runs in a process of its own. Progress goes to stderr. Whatever fails raises
    CvaError, and what cannot be taken its subclass UsageError, with a message of one line.
    """

    def __init__(
        self,
        db: AnyPath | None = None,
        *,
        project: AnyPath | None = None,
        models_dir: AnyPath | None = None,
        published: AnyPath | None = None,
        work_dir: AnyPath | None = None,
        vars: Mapping[str, Any] | None = None,
        as_of: date | str | None = None,
        horizon_days: int | None = None,
    ) -> None:
        from cva_sql.cli.shop.resolver import Need, open_shop

        self._shop = open_shop(
            _path(db),
            project=_path(project),
            variables=vars,
            models_dir=_path(models_dir),
            published=_path(published),
            work_dir=_path(work_dir),
            as_of=None if as_of is None else str(as_of),
            horizon_days=horizon_days,
            need=Need.NOTHING,
        )

    def __repr__(self) -> str:
        return f"Shop({str(self.db)!r})"

    @property
    def db(self) -> Path:
        """The database file."""
        return self._shop.db

    @property
    def models_dir(self) -> Path:
        """The folder of the trained models."""
        return self._shop.models_dir

    def load(
        self,
        table: str,
        files: AnyPath | Iterable[AnyPath] = (),
        *,
        query: str | None = None,
        url: str | None = None,
        columns: Mapping[str, str] | None = None,
        where: str | None = None,
        lines: bool = False,
        amount_per: str | None = None,
        replace: bool = False,
        append: bool = False,
        decimal: str | None = None,
        dates: str | None = None,
        status_counts: Sequence[str] = (),
        status_cancelled: Sequence[str] = (),
        encoding: str | None = None,
        delimiter: str | None = None,
        sheet: str | None = None,
    ) -> LoadReport:
        """Loads files, or a query over the database, into a raw table with canonical columns.

        `url` is that of another database that the query is over, e.g. postgresql://user@host/shop.
        `columns` maps canonical names to SQL over the file's columns, `where` chooses rows.
        `lines`: a row is an order line, to be summed into orders; `amount_per` ("order", "line")
        says whose the amount is where the rows do not. `append` brings in what is new or changed.
        `decimal` (point, comma) and `dates` (dmy, mdy, ymd) say how the file is written, where it
        does not tell. `status_counts` and `status_cancelled` add to the statuses that are a sale
        and none. `encoding`, `delimiter`, `sheet` (of a workbook, archive, JSON object) are found
        out where not given. The database is made where there is none; the table changes in one
        transaction, or not at all.
        """
        from cva_sql.cli.load.formats.source import ReadOptions
        from cva_sql.cli.load.table import load_table

        paths = [files] if isinstance(files, (str, PathLike)) else list(files)

        shop = self._shop
        return load_table(
            table,
            [Path(path) for path in paths],
            db=shop.db,
            query=query,
            url=url,
            columns=columns,
            where=where,
            lines=lines,
            amount_per=amount_per,
            replace=replace,
            append=append,
            schema=str(shop.var("cva_raw_schema")),
            timezone=str(shop.var("cva_timezone")),
            decimal=decimal,
            dates=dates,
            status_counts=[*status_counts, *shop.var("cva_status_counts")],
            status_cancelled=[*status_cancelled, *shop.var("cva_status_cancelled")],
            options=ReadOptions(encoding, delimiter, sheet),
        )

    def load_export(
        self,
        files: AnyPath | Iterable[AnyPath] = (),
        preset: str | None = None,
        *,
        replace: bool = False,
        append: bool = False,
        decimal: str | None = None,
        dates: str | None = None,
        source_schema: str | None = None,
    ) -> PresetReport:
        """Loads a vendor's export into every raw table that it holds; all change, or none does.

        `preset` is the name of a preset or a yml file of your own; without one the header of the
        files tells. Folders are taken as the files in them. Without `files` the tables of the
        database are the export, those of `source_schema` where several schemas have them.
        """
        from cva_sql.cli.load.by_preset import Overrides, find_named, load_by_preset
        from cva_sql.cli.load.rows import asked_for
        from cva_sql.cli.load.table import Into, Wanted

        paths = [files] if isinstance(files, (str, PathLike)) else list(files)
        found = None if preset is None else find_named(preset)
        wanted = Wanted({}, asked=asked_for(decimal, dates))
        overrides = Overrides(wanted, source_schema=source_schema)

        var, db = self._shop.var, self._shop.db
        into = Into(str(var("cva_raw_schema")), replace, append, str(var("cva_timezone")))
        return load_by_preset(found, [Path(path) for path in paths], overrides, into, db=db)

    def train(self, *, deploy: bool | str = True, withdraw: bool = False) -> Trained:
        """Trains on past dates and deploys what won; `deploy`: false for nothing, or a candidate.

        `withdraw`: where nothing could be judged, no trained model scores any more.
        """
        from cva_sql.cli.train.deployment import Wish
        from cva_sql.cli.train.training import train_shop

        wish = Wish(bool(deploy), withdraw, deploy if isinstance(deploy, str) else None)
        return self._write(lambda shop: train_shop(shop, wish))

    def run(self, *, allow_empty: bool = False, adopt: bool = False) -> Run:
        """Builds, tests and publishes the tables, or changes nothing.

        `allow_empty`: also without customers, or with less than half of those published before.
        `adopt`: the database was renamed or moved, and takes over the folders it had.
        """
        from cva_sql.cli.run.build import run_shop
        from cva_sql.cli.shop.owner import adopt as take_over

        if adopt:
            take_over(self._reading())
        return self._write(lambda shop: run_shop(shop, allow_empty=allow_empty))

    def evaluate(
        self,
        dates: Iterable[date | str] = (),
        *,
        replicates: int = 200,
        ablation: bool = False,
    ) -> Evaluation:
        """Back-tests on past dates (default: three), beside simple rules.

        `replicates` are bootstrap resamples for the intervals. `ablation`: also the ensemble
        without each of its ingredients. Writes cva_model_metrics and cva_model_deciles.
        """
        from cva_sql.cli.evaluate.evaluation import evaluate_shop, write_evaluation
        from cva_sql.cli.shop.resolver import parse_date

        days = [parse_date(str(day), "as_of") for day in dates]

        def evaluate(shop: ResolvedShop) -> Evaluation:
            found = evaluate_shop(shop, days, replicates, is_ablated=ablation)
            return write_evaluation(shop, found)

        return self._write(evaluate)

    def explain(
        self, customer_id: str, *, changes: Mapping[str, str | float | None] | None = None
    ) -> Explained:
        """A customer's prediction, what it is made of, and what changed features make of it.

        `changes` maps features to a new value (3, None, 'shop') or a change ('+1', '*1.5').
        Attributions say what the model looked at; they are not causes.
        """
        from cva_sql.cli.explain.explanation import explain_customer

        told = {name: _change(change) for name, change in (changes or {}).items()}
        return explain_customer(self._reading(), str(customer_id), told)

    def scores(self, *, columns: Sequence[str] | None = None, published: bool = False) -> Any:
        """customer_value as a pyarrow Table, in order of customer_id.

        `columns` chooses columns. `published`: the rows that readers see, of the last `run` that
        succeeded, whatever is being built. `.to_pandas()` and `polars.from_arrow` take it on.
        """
        from cva_sql.cli.run.scores import read_scores

        return read_scores(self._shop if published else self._reading(), columns, published)

    def report(self, path: AnyPath = "report.html") -> Written:
        """Writes what the tables say into one HTML file that opens offline."""
        from cva_sql.cli.report.writing import write_report

        return write_report(self._reading(), Path(path))

    def doctor(self) -> Report:
        """What is there, what is wrong with it and what to do next; nothing is written."""
        from cva_sql.cli.doctor.examination import examine

        return examine(self._reading())

    def models(self) -> Models:
        """The trained models, the packaged rule and the encoder; which of them scores."""
        from cva_sql.cli.models.inventory import encoder_summary, value_models

        return Models(value_models(self.models_dir), encoder_summary(self.models_dir))

    def sql(self, query: str) -> Any:
        """What a SQL query gives as a pyarrow Table, with cva_sentiment, cva_predict … at hand.

        Queries that only read open the database for reading. Of several statements, the last.
        """
        from cva_sql.cli.sql.session import query_shop

        return query_shop(self._reading(), query)

    def _reading(self) -> ResolvedShop:
        """The shop, whose database has to be there."""
        from cva_sql.cli.shop.resolver import Need, require

        require(self._shop, Need.DATABASE)
        return self._shop

    def _write(self, call: Callable[[ResolvedShop], Made]) -> Made:
        """What `call` gives, other commands kept off the shop meanwhile."""
        from cva_sql.cli.shop.lock import exclusive
        from cva_sql.cli.shop.resolver import Need, require

        require(self._shop, Need.ORDERS)
        with exclusive(self._shop):
            return call(self._shop)


def _change(change: str | float | None) -> str:
    """A change as `cva explain --set` takes it; a number sets, whatever its sign."""
    if change is None:
        return "null"
    return change if isinstance(change, str) else f"={change}"


def _path(path: AnyPath | None) -> Path | None:
    return None if path is None else Path(path)
