"""300 strings that would run, escape or write where nothing quotes them, and where to try them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cva_sql.cli.app import main
from cva_sql.cli.shop.terminal import OBEYED

# Each would make a file named `owned`, above or in the folder where it is tried, if it were run.
SEEDS = {
    "jinja": [
        "{{ 7*7 }}",
        "{{ run_query(\"copy (select 1) to 'owned'\") }}",
        "{% do run_query(\"copy (select 1) to 'owned'\") %}",
        "{% raw %}",
        "{# a comment #}",
        "{{ ''.__class__.__mro__ }}",
        "{{ env_var('HOME') }}",
        "}}{{ target.path }}{{",
        "{%- set x = 1 -%}",
    ],
    "sql": [
        "'; copy (select 1) to 'owned'; --",
        "\"; copy (select 1) to 'owned'; --",
        "x'); copy (select 1) to 'owned'; --",
        "'; drop table raw.orders; --",
        "1); drop table raw.orders; --",
        "' or '1'='1",
        "''",
        "'",
        '"',
        '""',
        ";",
        "--",
        "/*",
        "*/ select 1 /*",
        "$$",
        "E'\\x41'",
        "(select count(*) from read_text('/etc/passwd'))",
        "read_text('/etc/passwd')",
        "getenv('HOME')",
        "null",
        "select",
        "raw.orders",
        "x; attach 'owned' as o; --",
        "'; install httpfs; load httpfs; --",
        "*",
        "%",
        "?",
        "$1",
        ":name",
        "\\",
        "\\'",
    ],
    "terminal": [
        "\x1b[2J\x1b[H",
        "\x1b]0;owned\x07",
        "\x1b]52;c;b3duZWQ=\x07",
        "\x1bP+q\x1b\\",
        "\x9b31m",
        "\b\b\b",
        "\x7f",
        "\x07",
        "a\x0cb",
        "‮gnirts",
        "⁦x⁩",
        "\u2028x",
    ],
    "html": [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "</td></table><h1>x",
        '" onmouseover="alert(1)',
        "&lt;script&gt;",
        "&#60;b&#62;",
        "<!-- -->",
        "javascript:alert(1)",
        "]]>",
        "</svg><script>",
    ],
    "lines": [
        "a\nb",
        "a\r\nb",
        "a\rb",
        "\n",
        "a\tb",
        " ",
        "\u00a0x",
        "x\u2003",
        "a\x0bb",
        "\ufeffx",
    ],
    "paths": [
        "../owned",
        "../../owned",
        "/owned/x",
        "~/owned",
        "owned/../../owned",
        "..",
        ".",
        "/",
        "file:///etc/passwd",
        "https://example.invalid/x.csv",
        "s3://x/y.parquet",
        "/etc/passwd",
        "/dev/stdin",
        "*.csv",
        "[a-z]*",
        "con:",
        "C:\\owned",
    ],
    "shell": [
        "$(touch owned)",
        "`touch owned`",
        "; touch owned",
        "| touch owned",
        "&& touch owned",
    ],
    "options": ["-h", "--help", "--db=owned", "@owned", "-", "--"],
    "format": [
        "%s%n",
        "{0}",
        "{x!r}",
        "%(x)s",
        "\\u001b[31m",
        "=cmd|' /C calc'!A0",
        "+1",
        "!!python/x",
    ],
    "text": ["名前", "İıſß", "👩‍👩‍👧", "é", "x" * 500, "NaN", "inf", "1e999", "0x1F", "true"],
}
AROUND = (
    "{}",
    "a{}",
    "{}b",
    "{} {}",
    "'{}'",
)  # as it is, and where a check looks at the ends alone


def strings(count: int) -> list[str]:
    """All seeds as they are, then within other text; the same ones each time."""
    seeds = [seed for kind in SEEDS.values() for seed in kind]
    found = [around.replace("{}", seed) for around in AROUND for seed in seeds]
    return list(dict.fromkeys(found))[:count]


@pytest.fixture(scope="session")
def hostile() -> list[str]:
    found = strings(300)
    assert len(found) == 300
    return found


@dataclass(frozen=True)
class Tried:
    """What a command gave and said."""

    code: int
    out: str
    err: str


Try = Callable[..., Tried]


@pytest.fixture
def attempt(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Try]:
    """Runs `cva` in this process, in a folder of its own, and checks what it says."""
    inner = tmp_path / "outside" / "inner"
    inner.mkdir(parents=True)
    before = Path.cwd()
    os.chdir(inner)

    def call(*arguments: str) -> Tried:
        streams, argv = (sys.stdout, sys.stderr), sys.argv
        sys.argv = ["cva", *arguments]
        code = 0
        try:
            main()
        except SystemExit as done:
            code = int(done.code or 0)
        finally:
            sys.argv = argv
            sys.stdout, sys.stderr = streams
        out, err = capfd.readouterr()
        tried = Tried(code, out, err)
        assert code in (0, 1, 2), arguments
        assert "Traceback" not in out + err, arguments
        assert "the whole of it:" not in err, (arguments, err)
        assert not OBEYED.search(out + err), (arguments, out + err)
        if code and not err.startswith("Usage:"):
            said = [line for line in err.splitlines() if line.startswith("cva: ")]
            assert len(said) == 1, (arguments, err)
            assert err.splitlines()[-1] == said[0], (arguments, err)
        return tried

    yield call
    os.chdir(before)
