"""Text whose columns are parted by blanks and tabs, any number of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.load.formats.layout import Layout
from cva_sql.cli.load.formats.source import Source, sql_path, unique_names
from cva_sql.cli.shop.package import macro_value
from cva_sql.cli.shop.sql_text import listed, quoted
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def white_space_source(con: DuckDBPyConnection, file: Path, path: Path) -> Source:
    """The source of a text that no other delimiter parts; it may have a single column."""
    skip, header, line = 0, list[str](), b""
    with path.open("rb") as stream:
        while not header and (line := stream.readline()):
            skip, header = skip + 1, line.decode("utf-8-sig").split()
    lines = (
        f"read_csv({sql_path(path)}, columns = {{'line': 'VARCHAR'}}, auto_detect = false,"
        f" header = false, skip = {skip}, delim = chr(31), quote = '', escape = '', comment = '',"
        " compression = 'none')"
    )
    trimmed = f"trim(line, {macro_value('engine.sql', 'white_space')})"
    split = (
        f"(select string_split_regex({trimmed}, '\\s+') as parts"
        f" from {lines} where {trimmed} <> '')"
    )
    widest, odd, example = con.execute(
        f"select max(len(parts)), count(*) filter (len(parts) <> $1),"
        f" min(array_to_string(parts, ' ')) filter (len(parts) <> $1) from {split}",
        [len(header)],
    ).fetchone() or (0, 0, "")
    if len(header) < 2 or widest == 1:  # a name may have a blank where no value has
        name = line.decode("utf-8-sig").strip()
        layout = Layout(",", (name.strip('"'),), skip - 1)
        return Source(
            file, layout.names, (layout.select(path),), layout.header, path=path, layout=layout
        )
    if odd:
        raise CvaError(
            f"{file}: {odd:,} lines do not have the {len(header)} columns of the header"
            f" ({listed(header)}), e.g. {example[:60]!r}"
        )
    names = unique_names(header)
    values = ", ".join(f"parts[{i}] as {quoted(name)}" for i, name in enumerate(names, 1))
    return Source(file, names, (f"select {values} from {split}",), tuple(header))
