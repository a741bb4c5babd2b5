"""Stands in for `python`, `cva` and `dbt` in tests: has the warm server run what it can.

`server.py` puts a copy of it under each of those names. All else is started the ordinary way, and
everything with CVA_TESTS_COLD=1. Each call of a test passes through it, so it imports little.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
MODULES = ("cva_sql.cli.app", "cva_sql.cli.shop.dbt_process", "dbt.cli.main")


def find_call(program: str, arguments: list[str]) -> dict[str, object] | None:
    """What the server is asked for; None where it is something else, or with other options."""
    warnings: list[str] = []
    module = None
    if os.path.basename(program) == "python":  # noqa: PTH119
        while arguments[:1] == ["-W"]:
            warnings, arguments = [*warnings, arguments[1]], arguments[2:]
        if arguments[:1] != ["-m"] or arguments[1] not in MODULES:
            return None
        module, arguments = arguments[1], arguments[2:]
    return {
        "module": module,  # else it is the program, a script
        "arguments": [program, *arguments],
        "warnings": warnings,
        "executable": f"{FOLDER}/python",
        "folder": os.getcwd(),  # noqa: PTH109
        "environment": dict(os.environ),
    }


def ask(call: dict[str, object]) -> int | None:
    """The wait status of the call; None where the server leaves it to the ordinary way."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(f"{FOLDER}/socket")
    socket.send_fds(connection, [b" "], [0, 1, 2])
    connection.sendall(json.dumps(call).encode() + b"\n")
    answer = connection.recv(64).decode()
    if not answer:
        sys.exit("the warm server of the tests died")
    return None if answer == "cold" else int(answer)


def end_as(status: int) -> None:
    """Ends this process as the other one ended."""
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # The real one of this name is beside the Python that runs this.
    name = os.path.basename(sys.argv[0])  # noqa: PTH119
    program = f"{os.path.dirname(sys.executable)}/{name}"  # noqa: PTH120
    call = None if os.environ.get("CVA_TESTS_COLD") else find_call(program, sys.argv[1:])
    status = ask(call) if call else None
    if status is not None:
        end_as(status)
    os.execv(program, [program, *sys.argv[1:]])
