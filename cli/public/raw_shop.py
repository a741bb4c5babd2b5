"""A shop that is opened in Python, and filled with what it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.access import AnyPath, paths_of

if TYPE_CHECKING:
    from cva_sql.cli.load.by_preset import PresetReport
    from cva_sql.cli.load.report import LoadReport


class RawShop:
    """A shop's database and the raw tables in it; what is made of them is `Shop`'s."""

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
        return f"{type(self).__name__}({str(self.db)!r})"

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

        shop = self._shop
        return load_table(
            table,
            paths_of(files),
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

        found = None if preset is None else find_named(preset)
        wanted = Wanted({}, asked=asked_for(decimal, dates))
        overrides = Overrides(wanted, source_schema=source_schema)

        var, db = self._shop.var, self._shop.db
        into = Into(str(var("cva_raw_schema")), replace, append, str(var("cva_timezone")))
        return load_by_preset(found, paths_of(files), overrides, into, db=db)


def _path(path: AnyPath | None) -> Path | None:
    return None if path is None else Path(path)
