"""The configuration file as a table, with the line of every key.

The file is read only here. This file does not know what the keys mean.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from cucmd.config.errors import ConfigError, Problem
from cucmd.config.lines import KeyPath, key_lines, line_of
from cucmd.paths import config_places, default_config

# Bytes. A configuration of a thousand nodes has a tenth of it; most logs, given by mistake, have
# more.
_LARGEST_FILE = 1024 * 1024

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


class Source(Struct, frozen=True):
    """The content of the file. `looked_for`: the names that were tried, if there was none."""

    file: str
    table: dict[str, object]
    lines: dict[KeyPath, int]
    looked_for: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """Which file was read, as one line for the log."""
        if not self.looked_for:
            return f"configuration from {str(Path(self.file).absolute())!a}"
        there = "there is neither " if len(self.looked_for) > 1 else "there is no "
        return f"no configuration file; {there}{' nor '.join(map(ascii, self.looked_for))}"

    def problem(self, path: KeyPath, reason: str) -> Problem:
        return Problem(self.file, line_of(self.lines, path), dotted(path), reason)


def dotted(path: KeyPath) -> str:
    """A key as a person writes it: `clusters.lab.nodes[2]`."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
            continue
        name = part if _BARE_KEY.fullmatch(part) else ascii(part)
        written += f".{name}" if written else name
    return written


def read_source(path: Path | None, environ: Mapping[str, str]) -> Source:
    """Reads `path`, or the default file if that is None. Only the default file may be missing.

    Raises `ConfigError`.
    """
    chosen = path or Path(default_config(environ, os.getuid()))
    try:
        with chosen.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        if path is None and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return Source(str(chosen), {}, {}, config_places(environ, os.getuid()))
        raise _unusable(chosen, None, f"cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST_FILE:
        raise _unusable(chosen, None, f"is larger than {_LARGEST_FILE} bytes")
    return parse_source(str(chosen), content)


def parse_source(file: str, content: bytes) -> Source:
    """Reads TOML. Raises `ConfigError` with the line of the first error."""
    try:
        # As tomllib does it, so that line numbers are the same.
        text = content.decode("utf-8").replace("\r\n", "\n")
        table = tomllib.loads(text)
        return Source(file, table, key_lines(text))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _unusable(file, line, "is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(file, text, str(error)) from None
    except ValueError:  # of int(), for thousands of digits; tomllib does not catch it
        raise _unusable(file, None, "is not TOML: a number has too many digits") from None
    except RecursionError:
        raise _unusable(file, None, "is nested too deeply") from None


def _syntax_error(file: str, text: str, message: str) -> ConfigError:
    place = _PLACE.search(message)
    if place is None:
        return _unusable(file, None, f"is not TOML: {message}")
    reason = f"is not TOML: {message[: place.start()]}"
    if place["line"] is None:
        return _unusable(file, text.rstrip("\n").count("\n") + 1, f"{reason}, at the end")
    return _unusable(file, int(place["line"]), f"{reason}, at column {place['column']}")


def _unusable(file: Path | str, line: int | None, reason: str) -> ConfigError:
    return ConfigError([Problem(str(file), line, "", reason)])
