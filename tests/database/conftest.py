"""A PostgreSQL of the tests' own on loopback, in a folder that goes when they end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "cva_test", "p@ss:w/rd"  # a password that a URL has to escape
PLACES = "/usr/lib/postgresql/*/bin"  # where Debian's package has the server


@dataclass(frozen=True)
class Server:
    """Where it listens; `folder` is its own."""

    port: int
    folder: Path

    def url(self, password: str | None = "p%40ss%3Aw%2Frd", database: str = "postgres") -> str:
        secret = f":{password}" if password is not None else ""
        return f"postgresql://{USER}{secret}@127.0.0.1:{self.port}/{database}"

    def run(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=PASSWORD,
            dbname="postgres",
            autocommit=True,
        ) as con:
            for statement in statements:
                con.execute(statement)


def program(name: str) -> str:
    found = shutil.which(name)
    places = sorted(Path("/").glob(f"{PLACES.removeprefix('/')}/{name}"))
    if found is None and not places:
        pytest.fail(f"{name} is not there; install PostgreSQL's server: apt-get install postgresql")
    return found or str(places[-1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Started by an ordinary user, as it refuses to run as root; asks for a password."""
    as_user: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="cva_pg_"))
    secret = folder / "password"
    secret.write_text(PASSWORD)
    for path in (folder, secret):
        if as_user:
            shutil.chown(path, as_user["user"], as_user["group"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    made = [program("initdb"), "-D", data, "-U", USER, "-A", "scram-sha-256", "-E", "UTF8"]
    made += [f"--pwfile={secret}", "--no-sync"]
    place = {"cwd": folder, "capture_output": True, "text": True, **as_user}
    done = subprocess.run(made, **place, check=False)
    assert done.returncode == 0, done.stderr
    settings = ["-c", "fsync=off", "-c", f"unix_socket_directories={folder}", "-h", "127.0.0.1"]
    server = subprocess.Popen(
        [program("postgres"), "-D", data, "-p", str(port), *settings],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **as_user,
    )
    try:
        found = Server(port, folder)
        wait_for(found)
        yield found
    finally:
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(server: Server) -> None:
    import psycopg

    until = time.monotonic() + 60
    while True:
        try:
            server.run("select 1")
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
