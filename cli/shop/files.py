"""Files and folders of a shop: written whole or not at all, and never over what is not ours."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cva_sql.udfs.errors import CvaError

LAST = "manifest.json"  # of several files: where it is, the others are whole
FULL = re.compile(r"no space left|disk quota|file too large|out of disk", re.IGNORECASE)
NO_ROOM = "has no room"
FULL_NUMBERS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
UNFINISHED = "cva-"  # before the number of the process: a backup of the user's has no such name


def write_atomic(path: Path, data: bytes, times: tuple[int, int] | None = None) -> None:
    """Writes a file by renaming a finished copy onto it; a link is replaced, not followed.

    `times`: when it was read and changed last, in nanoseconds; now where None.
    """
    temporary = unfinished(path)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if times is not None:
            os.utime(temporary, ns=times)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def unfinished(path: Path) -> Path:
    """Where this process makes what is renamed to `path`; what killed ones left there is removed.

    A process of this number may have been before, so what lies there is not of one that is alive.
    """
    start = f".{path.name}.{UNFINISHED}"
    former = re.compile(re.escape(start) + "([1-9][0-9]{0,9})")
    names = list[str]()
    with suppress(OSError):  # what is wrong with the folder is said where it is written to
        names = [other.name for other in path.parent.iterdir()]
    for found in filter(None, map(former.fullmatch, names)):
        if int(found[1]) == os.getpid() or not _is_alive(int(found[1])):
            _remove(path.with_name(found[0]))
    return path.with_name(f"{start}{os.getpid()}")


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # where there is no way to ask that does no harm
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of somebody else
        return True
    return True


def _remove(path: Path) -> None:
    """Removes a file, a link itself, or a folder with what is in it, where that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


def write_files(out: Path, files: Mapping[str, bytes]) -> None:
    """Writes files by name into `out`, each whole or not at all, the manifest last."""
    with room_in(out, sum(map(len, files.values()))), written_to(out):
        out.mkdir(parents=True, exist_ok=True)
        for name in sorted(files, key=lambda name: name == LAST):
            write_atomic(out / name, files[name])


@contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Raises what the system says against writing into a folder as a CvaError of one line."""
    try:
        yield
    except OSError as error:
        raise CvaError(f"{folder} cannot be written: {error.strerror or error}") from None


def usable_folder(folder: Path, other: str) -> Path:
    """The folder, made where it is missing; a CvaError in one line where it cannot be used.

    `other` says how another one is given.
    """
    if folder.is_symlink() and not folder.exists():
        raise CvaError(f"{folder} is a link to nothing; mend or remove it, or {other}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if folder.exists():
            raise CvaError(
                f"{folder} is a file; expected a folder: move it away, or {other}"
            ) from None
        raise CvaError(f"{folder} cannot be made: {error.strerror}; {other}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CvaError(f"{folder} cannot be written: permission denied; {other}")
    return folder


def size_of(paths: Iterable[Path]) -> int:
    """The bytes of those of them that are files."""
    return sum(path.stat().st_size for path in paths if path.is_file())


@contextmanager
def room_in(folder: Path, needed: int) -> Iterator[None]:
    """Says which folder is full and how many bytes are needed, where a disk runs full within."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise full(folder, needed) from None
    except CvaError as error:
        if not FULL.search(str(error)) or NO_ROOM in str(error):
            raise
        raise full(folder, needed) from None


def is_full(error: OSError) -> bool:
    """Whether it says that there is no room; that of a whole folder says it in its text alone."""
    return error.errno in FULL_NUMBERS or bool(FULL.search(str(error)))


def full(folder: Path, needed: int) -> CvaError:
    """The error for a folder without room: what is needed there, and what is left."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    left = f"{shutil.disk_usage(place).free:,} left"
    return CvaError(f"{folder} {NO_ROOM}: about {needed:,} bytes are needed, {left}; make room")


def sync(path: Path) -> None:
    """Waits until a file or folder is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
