"""Searches everything that daemons have written for the passwords that were used.

The search includes the names of files, and leaves out only the content of files that nodes sent.
"""

import base64
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

# All passwords of labs, nodes and tests so far.
PASSWORDS: set[str] = set()


def spellings(password: str) -> set[bytes]:
    """Returns the password in clear, and as JSON, `repr`, a URL, hex and base64 spell it."""
    texts = {
        password,
        json.dumps(password)[1:-1],
        json.dumps(password, ensure_ascii=False)[1:-1],
        repr(password)[1:-1],
        ascii(password)[1:-1],
        quote(password),
    }
    clear = password.encode()
    return {text.encode() for text in texts} | {clear.hex().encode()} | set(_base64(clear))


def _base64(clear: bytes) -> Iterator[bytes]:
    """Yields its base64 within a longer text, for each of the three offsets where it may begin."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + clear)
        yield whole[-(-before * 4 // 3) :].rstrip(b"=")[:-1]


def found_in(data: bytes, passwords: Iterable[str] | None = None) -> list[str]:
    """Returns the passwords that `data` contains in any spelling."""
    used = PASSWORDS if passwords is None else passwords
    return [one for one in sorted(used) if any(word in data for word in spellings(one))]


def passwords_in(folder: Path) -> list[str]:
    """Returns `file: password` for each password in the state or the log of a daemon."""
    return _passwords_of(folder / "state")


def passwords_of_the_run(base: Path) -> list[str]:
    """Returns the same for every daemon that had its state below `base`."""
    states = sorted({database.parent for database in base.rglob("cucmd.db")})
    return [finding for state in states for finding in _passwords_of(state)]


def _passwords_of(state: Path) -> list[str]:
    return [
        f"{path}: {password}"
        for path in _ours(state)
        for password in found_in(os.fsencode(path.name) + b"\n" + path.read_bytes())
    ]


def _ours(state: Path) -> Iterator[Path]:
    """Yields the logs of a daemon, and its state without the files that nodes pushed."""
    yield from (path for path in state.parent.glob("*log") if path.is_file())
    for path in state.rglob("*"):
        pushed = path.relative_to(state).parts[3:4] == ("files",)
        if path.is_file() and not pushed:
            yield path
