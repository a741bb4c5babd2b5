"""Stands in for `python`, `cva` and `dbt` in tests: has the warm server run what it can.

`server.py` puts a copy of it under each of those names. All else is started the ordinary way, and
everything with CVA_TESTS_COLD=1. Each call of a test passes through it, so it imports little.
"""

import json
import os
import signal
import socket
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
MODULES = {"cva": "cva_sql.cli.app", "dbt": "dbt.cli.main"}


def find_call(name, arguments):
    """What the server is asked for; None where it is something else, or with other options."""
    warnings = []
    if name == "python":
        while arguments[:1] == ["-W"]:
            warnings, arguments = [*warnings, arguments[1]], arguments[2:]
        if arguments[:1] != ["-m"] or arguments[1] not in MODULES.values():
            return None
        name, arguments = arguments[1], arguments[2:]
    return {
        "module": MODULES.get(name, name),
        "arguments": arguments,
        "warnings": warnings,
        "executable": f"{FOLDER}/python",
        "folder": os.getcwd(),  # noqa: PTH109
        "environment": dict(os.environ),
    }


def ask(call):
    """The wait status of the call; None where the server leaves it to the ordinary way."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(f"{FOLDER}/socket")
    socket.send_fds(connection, [b" "], [0, 1, 2])
    connection.sendall(json.dumps(call).encode() + b"\n")
    answer = connection.recv(64).decode()
    if not answer:
        sys.exit("the warm server of the tests died")
    return None if answer == "cold" else int(answer)


def end_as(status):
    """Ends this process as the other one ended."""
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]  # noqa: PTH119
    call = None if os.environ.get("CVA_TESTS_COLD") else find_call(name, arguments)
    status = ask(call) if call else None
    if status is not None:
        end_as(status)
    real = os.path.join(os.path.dirname(sys.executable), name)  # noqa: PTH118, PTH120
    os.execv(real, [real, *arguments])
