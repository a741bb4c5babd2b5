"""What `cva init --scan` found, for a person and as vars of dbt."""

from __future__ import annotations

import json
import re

from cva_sql.cli.init.scan.marks import kept_key
from cva_sql.cli.init.scan.match import Match, Proposal, TableMatch
from cva_sql.cli.init.scan.vendors import describe_vendor
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.package import canonical_tables, raw_tables
from cva_sql.cli.shop.progress import count_of
from cva_sql.cli.shop.sql_text import has_name


def describe(proposal: Proposal) -> str:
    """What was found, why, and what is open."""
    vendor = proposal.vendor
    schema = vendor.schema if vendor else proposal.schema
    lines = [f"{proposal.db}: {count_of(proposal.table_count, 'table')} in schema {schema}"]
    lines += describe_vendor(vendor) if vendor else []
    for role, match in proposal.tables.items():
        state = "" if match.is_sure else "  left open"
        names = " + ".join(table.shown for table in match.parts or (match.table,))
        lines.append(f"\n{role} = {names}  score {match.score:.2f}{state}")
        for name, column in _columns(match).items():
            mark = "" if column.is_sure else "  ?"
            lines.append(f"    {name:<20} {shortened(column.expression)}  {column.score:.2f}{mark}")
        lines += [f"  - {text}" for text in match.evidence]
        used = {column.source for column in match.columns.values()}
        used |= {c for c in match.table.columns if _is_in(c, match)}
        unused = [shortened(c) for c in match.table.columns if c not in used]
        if unused:
            lines.append(f"  - not used: {', '.join(unused)}")
    if proposal.questions:
        lines += ["\nopen:", *(f"  - {text}" for text in proposal.questions)]
    for command in proposal.loads:
        lines.append(f"\nrun before the first `dbt run`:\n{command}")
    return "\n".join(lines)


def vars_yaml(proposal: Proposal) -> str:
    """The dbt vars, as YAML that `cva run --vars` takes too; what is not sure is a comment."""
    lines = [f"cva_raw_schema: {_scalar(proposal.schema)}"]
    if proposal.vendor is not None:
        return f"{lines[0]}  # filled by: {_comment(proposal.vendor.command)}\n"
    for role in canonical_tables():
        match = proposal.tables.get(role)
        if match is not None and match.is_sure:
            lines += _table_lines(match)
        elif match is not None:
            lines += [f"# {role} is left open: {_comment(doubt)}" for doubt in match.doubts]
            if match.parts:
                lines.append(
                    f"# cva init --scan prints the `cva load {role}` for it; no var needed"
                )
            else:
                lines += [f"# {line}" for line in _table_lines(match)]
        elif role == "orders":
            lines.append("# orders is left open: no table is sure; see cva init --scan")
        if role in proposal.hidden and not (match and match.is_sure):
            lines.append(f"cva_{role}_identifier: none_yet  # {_comment(proposal.hidden[role])}")
    return "\n".join(lines) + "\n"


def _table_lines(match: TableMatch) -> list[str]:
    lines = [
        f"cva_{match.role}_identifier: {_scalar(match.table.name)}",
        f"cva_{match.role}_columns:",
    ]
    kept = kept_key(match)
    for name, column in _columns(match).items():
        if kept is not None and name == kept[0]:
            lines.append(f"  {name}: {_scalar(kept[1])}")
        elif column.is_sure or name in raw_tables()[match.role].required:
            lines.append(f"  {name}: {_scalar(column.expression)}")
        else:
            why = column.doubt or f"not sure: score {column.score:.2f}"
            lines.append(f"  # {name}: {_scalar(column.expression)}  # {_comment(why)}")
    return lines


def _columns(match: TableMatch) -> dict[str, Match]:
    """The columns in the order that the canonical table has them."""
    return {n: match.columns[n] for n in canonical_tables()[match.role] if n in match.columns}


def _is_in(column: str, match: TableMatch) -> bool:
    """Whether an expression over several columns has this one."""
    texts = [*(one.expression for one in match.columns.values()), *match.left_out]
    return any(has_name(text, column) for text in texts)


def _scalar(text: str) -> str:
    """A YAML string. Quoted unless it is a plain word that YAML does not read as something else."""
    import yaml  # type: ignore[import-untyped]

    if re.fullmatch(r"[^\W\d]\w*", text) and yaml.safe_load(text) == text:
        return text
    if "'" not in text and text.isprintable():
        return f"'{text}'"  # an SQL name in double quotes stays readable
    return json.dumps(text, ensure_ascii=False)


def _comment(text: str) -> str:
    return " ".join(text.split())
