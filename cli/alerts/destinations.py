"""Where alerts are sent to: a webhook, a file of JSON lines, stdout."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from email.message import Message
    from typing import IO
    from urllib.request import Request

SECRET = "CVA_WEBHOOK_SECRET"
STDOUT = "stdout"
WAITS = (
    1.0,
    2.0,
    4.0,
)  # seconds between tries; a receiver that is down longer has to wait for the next call
TIMEOUT = 20.0  # seconds; longer than a receiver that only takes note of an alert needs
LOCAL = {"localhost", "127.0.0.1", "::1"}
BUSY = {408, 425, 429}  # beside 5xx: asks to come again
START = b'{"idempotency_key": "'


@dataclass(frozen=True)
class Destination:
    """A place that takes a body under its key, or raises CvaError; `name` tells no secret."""

    name: str
    deliver: Callable[[str, bytes], None]


def parse_destination(text: str) -> Destination:
    """What --to names; raises UsageError for what alerts cannot be sent to."""
    if text == STDOUT:
        return Destination(STDOUT, _print)
    if "://" not in text:
        path = Path(text)
        if not path.parent.is_dir() or path.is_dir():
            raise UsageError(
                f"--to {text}: expected https://…, stdout, or a file in a folder that is there"
            )
        return Destination(f"file {path.resolve()}", partial(_append, path))
    name = _check_url(text)
    secret = os.environ.get(SECRET, "")
    if not secret:
        raise UsageError(
            f"{SECRET} is not set; the body is signed with it: set it in the environment to what"
            " the receiver knows"
        )
    return Destination(name, partial(_post, text, name, secret.encode()))


def _check_url(text: str) -> str:
    """The name of a URL that alerts may be sent to: its host and a hash, as the rest is a secret.

    Of many webhooks the path is what lets one in.
    """
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise UsageError("--to is no URL; expected e.g. https://example.com/alerts") from None
    is_private = url.scheme == "https" or (url.scheme == "http" and host in LOCAL)
    if not host or not is_private or url.username:
        raise UsageError(
            f"--to {url.scheme}://{host or ''}: expected an https URL without a password (http to"
            " this machine alone)"
        )
    at = f":{port}" if port else ""
    return f"{url.scheme}://{host}{at} {sha256(text.encode()).hexdigest()[:12]}"


def _print(_: str, body: bytes) -> None:
    print(body.decode(), flush=True)


def _append(path: Path, key: str, body: bytes) -> None:
    """Adds a line to a file of our lines; one that it has, of before a kill, is not added again."""
    try:
        with path.open("a+b") as file:
            file.seek(0)
            data = file.read()
            whole, end, part = data.rpartition(b"\n")
            keys = {_key_of(line, path) for line in whole.split(b"\n")} if end else set()
            if part and not (part.startswith(START) or START.startswith(part)):
                raise _foreign(path)
            if part:  # of a kill or a full disk
                file.truncate(len(data) - len(part))
            if key not in keys:
                file.write(body + b"\n")
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise CvaError(f"{path} cannot be written: {error.strerror}") from None


def _key_of(line: bytes, path: Path) -> str:
    try:
        return str(json.loads(line)["idempotency_key"])
    except (ValueError, TypeError, KeyError):
        raise _foreign(path) from None


def _foreign(path: Path) -> CvaError:
    return CvaError(f"{path} holds something else than alerts; expected a new file: give another")


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of `timestamp.body` in hex, as the receiver computes it too."""
    import hmac

    return hmac.new(secret, timestamp.encode() + b"." + body, sha256).hexdigest()


def _post(url: str, name: str, secret: bytes, key: str, body: bytes) -> None:
    """Sends a body until it is taken; raises CvaError after the last try, or on a refusal."""
    from http.client import HTTPException
    from urllib.error import HTTPError

    reason = ""
    for wait in (*WAITS, None):
        try:
            _open(_request(url, secret, key, body))
            return
        except HTTPError as error:
            error.close()
            reason = f"it answered {error.code}"
            if error.code < 500 and error.code not in BUSY:
                break
        except (OSError, HTTPException, ValueError) as error:
            reason = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
        if wait is not None:
            time.sleep(wait)
    raise CvaError(
        f"{name} did not take the alert {key}: {reason}; what was taken is noted, so that the same"
        " command goes on there"
    )


def _request(url: str, secret: bytes, key: str, body: bytes) -> Request:
    from urllib.request import Request

    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        "Cva-Timestamp": timestamp,
        "Cva-Signature": f"sha256={signature(secret, timestamp, body)}",
    }
    return Request(url, data=body, headers=headers, method="POST")


def _open(request: Request) -> None:
    """Sends a request; to nowhere else, so that an answer that leads elsewhere is a refusal."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class Stay(HTTPRedirectHandler):
        def redirect_request(
            self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
        ) -> Request | None:
            return None

    with build_opener(Stay).open(request, timeout=TIMEOUT):
        pass
