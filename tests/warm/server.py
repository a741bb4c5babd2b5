"""A Python that has cva and dbt imported and forks for each call, so that no call waits for that.

Tests start hundreds of processes, and most of the time of each went into imports and into dbt
compiling the package's macros. `client.py` stands in for `sys.executable` and hands over what
starts cva or dbt. A call is a process of its own, with the caller's files, folder and environment.

It prints the folder of the stand-ins. Once its stdin closes, as it does when pytest ends in
whatever way, it takes the folder and every process that it started along.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STAND_INS = ("python", "cva", "dbt")
# Taken up when Python or a library starts: with others than the server's, a fork will not do.
FIXED = ("PYTHON", "LANG", "LC_", "LD_", "OPENBLAS_", "MKL_", "MALLOC_", "OMP_NUM_")
# Not onnxruntime: it starts a thread of its own, for which a fork would wait for ever at its end.
# Trees before lightgbm: they set how its threads wait.
MODULES = (
    "cva_sql.api", "cva_sql.models_onnx.value.estimators.trees", "dbt.adapters.duckdb",
    "dbt.task.build", "dbt.task.docs.generate", "lightgbm", "onnx", "pyarrow.compute",
    "scipy.optimize", "scipy.special", "scipy.stats", "sklearn.isotonic", "sklearn.linear_model",
    "tokenizers", "yaml",
)  # fmt: skip


def lay_out(folder: Path) -> socket.socket:
    """Writes the stand-ins; the socket on which they call."""
    client = Path(__file__).with_name("client.py").read_text(encoding="utf-8")
    for name in STAND_INS:
        (folder / name).write_text(f"#!{sys.executable} -IS\n{client}", encoding="utf-8")
        (folder / name).chmod(0o755)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(folder / "socket"))
    listener.listen(64)
    return listener


def serve(listener: socket.socket) -> dict[str, Any]:
    """Returns in the process of each call, with what is to be run there; never in the server."""
    signal.signal(signal.SIGCHLD, reap)
    is_warm = False
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return {}
        connection, _ = listener.accept()
        if not is_warm:
            warm_up()
            is_warm = True
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return wait_for_call(connection)
        connection.close()


def reap(*_: Any) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def warm_up() -> None:
    """Imports, and has dbt parse the packaged project once: jinja's templates are kept."""
    for module in MODULES:
        importlib.import_module(module)
    import dbt.deprecations
    from dbt.adapters.factory import reset_adapters
    from dbt.cli.main import dbtRunner
    from dbt_common.events.event_manager_client import get_event_manager

    from cva_sql.cli.shop.package import project_dir

    loggers = [*get_event_manager().loggers]
    with tempfile.TemporaryDirectory() as folder:
        options = ["--project-dir", str(project_dir()), "--profiles-dir", str(project_dir())]
        options += ["--target-path", folder, "--log-path", folder]
        # Not dbt's static parser: its threads would be missing in a fork.
        dbtRunner().invoke(["--quiet", "--no-static-parser", "parse", *options])
    reset_adapters()  # type: ignore[no-untyped-call]
    get_event_manager().loggers[:] = loggers
    get_event_manager().callbacks.clear()
    dbt.deprecations.reset_deprecations()  # type: ignore[no-untyped-call]
    gc.collect()
    gc.freeze()


def wait_for_call(connection: socket.socket) -> dict[str, Any]:
    """Forks once more: returns in the call, and in its parent tells the client how it ended."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as lines:
        text = lines.readline()
    if not text.endswith(b"\n"):  # the client was killed
        os._exit(0)
    call: dict[str, Any] = json.loads(text)
    if fixed(call["environment"]) != fixed(os.environ):
        connection.sendall(b"cold")
        os._exit(0)
    pid = os.fork()
    if pid == 0:
        connection.close()
        for target, file in enumerate(files):
            os.dup2(file, target)
            os.close(file)
        return call
    for file in files:
        os.close(file)
    select.select([os.pidfd_open(pid), connection], [], [])
    if select.select([connection], [], [], 0)[0]:  # the client was killed
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(str(status).encode())
    os._exit(0)


def fixed(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(FIXED)}


def run(call: dict[str, Any]) -> None:
    """Makes this process the one that the client would have been, and runs it."""
    import random

    import numpy as np
    from dbt_common.invocation import reset_invocation_id

    os.chdir(call["folder"])
    os.environ.clear()
    os.environ.update(call["environment"])
    time.tzset()
    sys.executable = call["executable"]
    sys.argv = call["arguments"]
    sys.path[0] = call["folder"]
    for action in call["warnings"]:
        warnings.simplefilter(action)
    random.seed()
    np.random.seed()
    reset_invocation_id()
    importlib.invalidate_caches()
    try:
        if call["module"]:
            runpy.run_module(call["module"], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            end(ended.code or 0)
        raise
    end(0)


def end(exit_code: int) -> None:
    """Ends as Python does, without freeing every object first: that took half of a short call."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(exit_code)


if __name__ == "__main__":
    os.setsid()
    folder = Path(tempfile.mkdtemp(prefix="cva-warm-"))
    listener = lay_out(folder)
    os.write(1, f"{folder}\n".encode())
    os.dup2(2, 1)
    call = serve(listener)
    if call:
        run(call)
    else:
        shutil.rmtree(folder)
        os.killpg(0, signal.SIGKILL)
