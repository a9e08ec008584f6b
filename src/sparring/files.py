"""Files that are written whole or not at all, and lines of measurements read back."""

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
import errno
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from sparring.errors import InputError, first_line

FULL = "PytorchStreamWriter|inline_container"
"""What torch says where a disk is full."""
KEPT = "what was saved before is kept: "
REMEDY = "make room or choose another place, and go on"

Line = dict[str, Any]
"""What was measured at one moment, by name."""


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside, sync, then rename: after a power cut, or on a full disk, there is the old file or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        sync(temporary)
        _open_as_usual(temporary)
        temporary.replace(path)
        sync(path.parent)
    except (OSError, RuntimeError, SafetensorError) as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, RuntimeError) and not re.search(FULL, str(error)):
            raise
        kept = KEPT if path.exists() else ""
        raise InputError(
            f"{path}: expected a file that can be written, got {_reason(error)}; {kept}{REMEDY}"
        ) from error


def _open_as_usual(file: Path) -> None:
    """For whom new files are, where it is for its owner alone, as safetensors writes them."""
    with suppress(OSError):  # not every file system has modes
        if not file.stat().st_mode & 0o077:
            mask = os.umask(0o077)
            os.umask(mask)
            file.chmod(0o666 & ~mask)


def lock(handle: int) -> bool:
    """Lock an open file or folder until it is closed; False where another process has done so."""
    if fcntl:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            pass
    return True


def check_writable(path: Path) -> None:
    """One clear line, before the work, if there will be no place for its result."""
    if not path.parent.is_dir():
        raise InputError(f"{path}: expected an existing folder for the file, found none")
    is_new = not path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise InputError(f"{path}: expected a file that can be written, got {_reason(error)}") from None
    if is_new:
        path.unlink()


def _reason(error: Exception) -> str:
    full = os.strerror(errno.ENOSPC) if re.search(FULL, str(error)) else ""
    said = (isinstance(error, OSError) and error.strerror) or full or first_line(error)
    return f"an error ({said})"


def write_text(path: Path, text: str) -> None:
    """A text file, whole or not at all."""
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    """A JSON file, whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_lines(path: Path) -> list[Line]:
    """A JSON object from each line; a last line that a crash has cut, even inside a character, is left out."""
    texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [_line(text) for text in texts]
    if None in lines[:-1]:
        place = f"line {lines.index(None) + 1} of {path}"
        raise InputError(
            f"expected a JSON object on every line but a cut last one, got something else on {place}; mend it"
        )
    return [line for line in lines if line is not None]


def _line(text: str) -> Line | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk; folders cannot be opened everywhere."""
    if path.exists() and (path.is_file() or os.name == "posix"):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
