"""Searches everything that daemons wrote for the passwords that were used.

The content of files that a node sent is not searched. Everything else is, names of files too.
"""

import base64
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

# Every password of a lab, a node or a test that is known so far.
PASSWORDS: set[str] = set()


def spellings(password: str) -> set[bytes]:
    """Spells the password in clear, and as it is within JSON, `repr`, a URL, hex or base64."""
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
    """Yields its base64 within a longer text, for each of the three places where it may begin."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + clear)
        yield whole[-(-before * 4 // 3) :].rstrip(b"=")[:-1]


def found_in(data: bytes, passwords: Iterable[str] | None = None) -> list[str]:
    """Finds the passwords that are in `data`, in any spelling."""
    used = PASSWORDS if passwords is None else passwords
    return [one for one in sorted(used) if any(word in data for word in spellings(one))]


def passwords_in(folder: Path) -> list[str]:
    """`file: password` for each password in the state or in the log of a test's daemon."""
    return _passwords_of(folder / "state")


def passwords_of_the_run(base: Path) -> list[str]:
    """Finds the same for every daemon that ever had its state below `base`."""
    states = sorted({database.parent for database in base.rglob("cucmd.db")})
    return [finding for state in states for finding in _passwords_of(state)]


def _passwords_of(state: Path) -> list[str]:
    return [
        f"{path}: {password}"
        for path in _ours(state)
        for password in found_in(os.fsencode(path.name) + b"\n" + path.read_bytes())
    ]


def _ours(state: Path) -> Iterator[Path]:
    """Yields the files of a daemon: its logs, and its state without what nodes pushed."""
    yield from (path for path in state.parent.glob("*log") if path.is_file())
    for path in state.rglob("*"):
        pushed = path.relative_to(state).parts[3:4] == ("files",)
        if path.is_file() and not pushed:
            yield path
