"""The process in which dbt works: its command line, with what it says as lines of JSON on stdout.

dbt by itself makes JSON of each of some thousand events, and only then looks whether it is to be
said. What it holds lives as long as the process does: to look for garbage in it at Python's usual
pace takes a tenth of a run, and to free it piece by piece at the end a second.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
from typing import Any

SAID = frozenset({"info", "warn", "error"})
OBJECTS = 100_000  # made before Python looks for garbage among the newest; 700 by itself
# Said here, and logged as ever.
OPTIONS = ("--log-level", "none", "--log-level-file", "debug")
PLAIN = ("--no-use-colors", "--no-use-colors-file")


def main() -> int:
    """Runs dbt on this process's arguments; its exit code."""
    gc.set_threshold(OBJECTS, 50, 50)
    from dbt.cli.main import dbtRunner
    from dbt_common.events.functions import msg_to_dict

    levels = set[str]()

    def say(event: Any) -> None:
        if event.info.level in SAID:
            levels.add(event.info.level)
            # In one piece: dbt's threads say things side by side.
            sys.stdout.write(f"{json.dumps(msg_to_dict(event))}\n")
            sys.stdout.flush()

    done = dbtRunner(callbacks=[say]).invoke([*OPTIONS, *PLAIN, *sys.argv[1:]])
    if done.exception is not None and "error" not in levels:
        print(done.exception, flush=True)
    return 0 if done.success else 1


def end(exit_code: int) -> None:
    """Ends as Python does, the database closed, but frees nothing."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


if __name__ == "__main__":
    end(main())
