"""Files as shops have them: each gives the right number, or one line that names what settles it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from typer.testing import CliRunner

from cva_sql.cli.app import app

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "inputs" / "orders.yml").read_text(encoding="utf-8")
)


def load(folder: Path, case: dict[str, Any], text: str, *options: str) -> tuple[int, str]:
    """Exit code and output of the load; the message of an error."""
    file = folder / case.get("file", "orders.csv")
    file.write_bytes(text.encode(case.get("encoding", "utf-8")))
    arguments = ["load", "orders", str(file), "--db", str(folder / "shop.duckdb"), *options]
    done = CliRunner().invoke(app, [*arguments, *case.get("options", [])])
    return done.exit_code, done.output or str(done.exception)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_file_gives_the_right_number_or_a_question(case: dict[str, Any], tmp_path: Path) -> None:
    code, said = load(tmp_path, case, case["text"])
    if "asks" in case:
        assert code != 0
        assert case["asks"] in said
        assert len(said.strip().splitlines()) == 1
        assert not (tmp_path / "shop.duckdb").exists()
        return
    if "then" in case:
        code, said = load(tmp_path, case, case["then"], "--append")
    assert code == 0, said
    expected = case["gives"]
    assert expected.get("says", "") in said
    with duckdb.connect(str(tmp_path / "shop.duckdb"), read_only=True) as con:
        found = con.execute(
            "select count(*), count(distinct customer_id), sum(amount)::varchar,"
            " min(ordered_at)::date::varchar, max(ordered_at)::date::varchar from raw.orders"
        ).fetchone()
        ids = [
            row[0] for row in con.execute("select order_id from raw.orders order by 1").fetchall()
        ]
    assert found is not None
    assert found[:2] == (expected["orders"], expected["customers"])
    assert float(found[2]) == float(expected["amount"])
    for place, name in ((3, "first"), (4, "last")):
        assert str(expected.get(name, found[place])) == found[place]
    assert expected.get("ids", ids) == ids
