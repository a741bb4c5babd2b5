"""Run by Superset's own Python: imports a bundle into a new Superset and runs its charts' queries.

python asked.py BUNDLE.zip FILTERS gives, as JSON in its last line, the rows of each chart, plain
and with a filter on each of the columns that the dashboard filters by.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from flask_migrate import upgrade
from superset.app import create_app


def main(bundle: Path, filters: dict[str, str]) -> None:
    app = create_app()
    with app.app_context():
        upgrade(directory=str(Path(sys.modules["superset"].__file__ or "").parent / "migrations"))
        security = app.appbuilder.sm
        app.appbuilder.add_permissions(update_perms=True)
        security.sync_role_definitions()
        admin = security.find_role("Admin")
        user = security.add_user("admin", "a", "b", "admin@localhost", admin, "admin")
        from superset.utils.core import override_user

        with override_user(user):
            load(bundle)
            print(json.dumps({"charts": ask(filters), "version": version()}, default=str))


def version() -> str:
    import duckdb

    return str(duckdb.__version__)


def load(bundle: Path) -> None:
    """As the button that imports dashboards does it."""
    from superset.commands.dashboard.importers.dispatcher import ImportDashboardsCommand
    from superset.commands.importers.v1.utils import get_contents_from_bundle

    with ZipFile(bundle) as file:
        contents = get_contents_from_bundle(file)
    ImportDashboardsCommand(contents, overwrite=True).run()


def ask(filters: dict[str, str]) -> dict[str, Any]:
    """By chart: the rows of its query, and of the same with each filter that its dataset has."""
    from superset import db
    from superset.models.slice import Slice

    found = {}
    for chart in db.session.query(Slice).order_by(Slice.slice_name):
        columns = {column.column_name for column in chart.table.columns}
        answers = {"": rows(chart, [])}
        for column, value in filters.items():
            if column in columns:
                given = {"col": column, "op": "IN", "val": [value]}
                answers[column] = rows(chart, [given])
        types = {column.column_name: column.type for column in chart.table.columns}
        found[chart.slice_name] = {"answers": answers, "columns": types, "sql": chart.table.sql}
    return found


def rows(chart: Any, filters: list[dict[str, Any]]) -> list[Any]:
    from superset.commands.chart.data.get_data_command import ChartDataCommand

    context = chart.get_query_context()
    for query in context.queries:
        query.filter = [*query.filter, *filters]
    answer = ChartDataCommand(context).run()["queries"][0]
    if answer.get("error"):
        raise SystemExit(f"{chart.slice_name}: {answer['error']}")
    return list(answer["data"])


main(Path(sys.argv[1]), json.loads(sys.argv[2]))
