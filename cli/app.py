"""The typer app `cva`. Commands import what is heavy inside themselves, so that help is quick."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from cva_sql.cli.alerts.command import alerts
from cva_sql.cli.audience.command import audience
from cva_sql.cli.backfill.command import backfill
from cva_sql.cli.check_features.command import check_features
from cva_sql.cli.demo.command import demo
from cva_sql.cli.doctor.command import doctor
from cva_sql.cli.drift.command import drift
from cva_sql.cli.embed.command import embed
from cva_sql.cli.evaluate.command import evaluate
from cva_sql.cli.explain.command import explain
from cva_sql.cli.export_model.command import export_model
from cva_sql.cli.finetune.command import finetune
from cva_sql.cli.forget.command import forget
from cva_sql.cli.init.command import init
from cva_sql.cli.load.command import load
from cva_sql.cli.models.command import models
from cva_sql.cli.person.command import person
from cva_sql.cli.publish.command import publish
from cva_sql.cli.recommend.command import recommend
from cva_sql.cli.report.command import report
from cva_sql.cli.run.command import run
from cva_sql.cli.score.command import score
from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.terminal import show_what_is_obeyed
from cva_sql.cli.shop.unforeseen import too_long, unforeseen
from cva_sql.cli.sql.command import sql
from cva_sql.cli.start.command import start
from cva_sql.cli.train.command import train
from cva_sql.cli.watch.command import watch
from cva_sql.udfs.errors import CvaError, UsageError

GROUPS: dict[str, dict[str, Any]] = {
    "Start": {"demo": demo, "start": start, "load": load, "init": init, "doctor": doctor},
    "Every day": {
        "train": train,
        "run": run,
        "watch": watch,
        "report": report,
        "explain": explain,
        "sql": sql,
        "backfill": backfill,
    },
    "Act on it": {
        "recommend": recommend,
        "alerts": alerts,
        "audience": audience,
        "publish": publish,
    },
    "People": {"person": person, "forget": forget},
    "How good is it": {
        "evaluate": evaluate,
        "drift": drift,
        "check-features": check_features,
        "models": models,
        "export-model": export_model,
        "finetune": finetune,
    },
    "For dbt without Python": {"embed": embed, "score": score},
}


class GroupedHelp(TyperGroup):
    """A help page with the commands in groups, each with the whole first sentence of its help."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes a section per group; the descriptions begin in one column."""
        width = max(len(name) for commands in GROUPS.values() for name in commands)
        for group, commands in GROUPS.items():
            found = [(name, self.get_command(ctx, name)) for name in commands]
            with formatter.section(group):
                formatter.write_dl(
                    [(name.ljust(width), c.get_short_help_str(limit=500)) for name, c in found if c]
                )


app = typer.Typer(
    name="cva",
    cls=GroupedHelp,
    help="What each customer is worth, as a plain SQL table.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for commands in GROUPS.values():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)


def main() -> None:
    """Runs the app; an error becomes one line on stderr and its exit code.

    Whatever is printed passes the filter for what a terminal would obey.
    """
    show_what_is_obeyed()
    try:
        app()
    except CvaError as error:
        say(f"cva: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("cva: interrupted", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        os._exit(1)  # the reader of our stdout went away; nothing is left to say
    except Exception as error:  # noqa: BLE001 - said in one line, kept whole in a log
        if said := too_long(error):
            say(f"cva: {said}")
            sys.exit(UsageError.exit_code)
        say(f"cva: {unforeseen(error)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
