"""What `cva forget` prints for a person."""

from __future__ import annotations

from cva_sql.cli.forget.erasing import Forgotten
from cva_sql.cli.shop.progress import count_of

ELSEWHERE = (
    "not known to cva, so look there yourself: files you loaded, backups, audiences and alerts that"
    " were handed on, PostgreSQL (cva publish brings it up to date)"
)


def describe(found: Forgotten) -> str:
    """Where something was erased, and what is left to do; no id is named."""
    before = found.people - found.new
    again = f", {before:,} of them before" if before else ""
    lines = [f"forgotten: {count_of(found.people, 'customer')}{again}"]
    lines += [f"  {rows:>9,} rows of {table}" for table, rows in found.rows.items()]
    if found.published_rows:
        lines.append(f"  {found.published_rows:>9,} rows of published/current, published anew")
    if found.removed_runs:
        lines.append(f"removed: {count_of(found.removed_runs, 'earlier published run')}")
    lines += [f"removed: {file}" for file in found.removed_files]
    lines += [f"left: {what}" for what in found.left]
    lines += found.notes
    lines.append(ELSEWHERE)
    lines.append("next: cva run, for tiers, percentiles and totals without them")
    return "\n".join(lines)
