"""The typer app `cva`. Commands import what is heavy inside themselves, so that help is quick."""

from __future__ import annotations

import os
import sys

import typer

from cva_sql.cli import (
    check_features,
    demo_command,
    embed,
    evaluate,
    explain,
    export_model,
    init,
    load,
    models_command,
    run,
    score,
    sql_command,
    train,
)
from cva_sql.cli.doctor import command as doctor_command
from cva_sql.cli.report import command as report_command
from cva_sql.udfs.errors import CvaError

app = typer.Typer(
    name="cva",
    help="What each customer is worth, as a plain SQL table.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo_command.demo)
app.command("init")(init.init)
app.command("load")(load.load)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("run")(run.run)
app.command("check-features")(check_features.check_features)
app.command("embed")(embed.embed)
app.command("score")(score.score)
app.command("explain")(explain.explain)
app.command("export-model")(export_model.export_model)
app.command("report")(report_command.report)
app.command("sql")(sql_command.sql)
app.command("doctor")(doctor_command.doctor)
app.add_typer(models_command.models)


def main() -> None:
    """Runs the app; a `CvaError` becomes one line on stderr and its exit code."""
    try:
        app()
    except CvaError as error:
        print(f"cva: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("cva: interrupted", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        os._exit(1)  # the reader of our stdout went away; nothing is left to say


if __name__ == "__main__":
    main()
