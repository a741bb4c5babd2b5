"""Makes the report's page from the shop's tables and writes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.cli.report.page import Section
    from cva_sql.cli.report.sections.overview import Overview
    from cva_sql.cli.report.source import Source
    from cva_sql.cli.shop.shop import ResolvedShop


@dataclass(frozen=True)
class SectionState:
    """A section of the file; `left_out` says what is missing and what to run, None if it is in."""

    name: str
    title: str
    left_out: str | None


@dataclass(frozen=True)
class Written:
    """The file that was written: its path, its size, its sections in order."""

    path: str
    bytes: int
    sections: tuple[SectionState, ...]


def write_report(shop: ResolvedShop, out: Path) -> Written:
    """Writes the file, whole or not at all; raises CvaError where there is nothing to report."""
    from cva_sql.cli.shop.files import write_files

    refuse_page(out, shop.db)
    text, sections = make_page(shop)
    data = text.encode()
    write_files(out.parent, {out.name: data})
    states = tuple(SectionState(s.name, s.title, s.left_out) for s in sections)
    return Written(str(out), len(data), states)


def refuse_page(out: Path, db: Path, another: str = "name another file: --out") -> None:
    """Raises UsageError where a report on the database would replace anything but one as it was.

    `another` says how another place is given.
    """
    from cva_sql.cli.report.mark import other_than

    if out.is_dir():
        raise UsageError(
            f"--out {out} is a folder; expected a file, e.g. --out {out / 'report.html'}"
        )
    if out.is_symlink():
        raise UsageError(f"--out {out} is a link; name the file itself")
    try:
        with out.open("rb") as file:
            other = other_than(file, db)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"--out {out} cannot be read: {error.strerror}") from None
    if other is not None:
        raise UsageError(f"{out} {other}; move it away, or {another}")


def make_page(shop: ResolvedShop) -> tuple[str, list[Section]]:
    """The page and its sections; the same bytes for the same tables and deployed model."""
    from cva_sql.cli.report.mark import marked
    from cva_sql.cli.report.page import render
    from cva_sql.cli.report.sections.overview import head, read_overview
    from cva_sql.cli.report.source import opened

    with opened(shop) as source:
        overview = read_overview(source)
        sections = _sections(source, overview)
        page = render(head(source, overview), sections)
    return marked(page, shop.db), sections


def _sections(source: Source, overview: Overview) -> list[Section]:
    from cva_sql.cli.report.catalog import read_catalog
    from cva_sql.cli.report.page import Section
    from cva_sql.cli.report.sections.alerts import alerts
    from cva_sql.cli.report.sections.attributions import attributions
    from cva_sql.cli.report.sections.cohorts import cohorts
    from cva_sql.cli.report.sections.customers import best_customers
    from cva_sql.cli.report.sections.distribution import distribution
    from cva_sql.cli.report.sections.drivers import drivers
    from cva_sql.cli.report.sections.insights import insights
    from cva_sql.cli.report.sections.overview import overview_section
    from cva_sql.cli.report.sections.quality import quality
    from cva_sql.cli.report.sections.recommending import recommending
    from cva_sql.cli.report.sections.rejects import rejects
    from cva_sql.cli.report.sections.reviews import reviews
    from cva_sql.cli.report.sections.segments import segments
    from cva_sql.cli.report.sections.watching import watching
    from cva_sql.cli.report.sections.waterfalls import waterfalls

    catalog = read_catalog(source)
    reading = "Predictions are means, and attributions are not causes."  # the template has the rest
    return [
        overview_section(source, overview),
        distribution(source, overview),
        best_customers(source, overview),
        segments(source),
        alerts(source),
        recommending(source),
        cohorts(source),
        drivers(source, overview, catalog),
        attributions(source, overview, catalog),
        waterfalls(source, overview),
        quality(source),
        watching(source),
        reviews(source),
        *insights(source),
        rejects(source),
        Section("reading", "How to read this", reading),
    ]
