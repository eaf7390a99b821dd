"""PURE. Writes a configuration as TOML, so that it can be read and used again.

What this writes, `load` reads back as the same configuration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from cucmd.config.keys import SECTIONS
from cucmd.config.model import Cluster, Config, CredentialUse
from cucmd.config.profiles import Profile

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(config: Config) -> str:
    """The whole configuration. Clusters have only the keys that differ from the general ones."""
    lines: list[str] = []
    for name in SECTIONS:
        lines += _table((name,), _fields(getattr(config, name)))
    for use in config.credential_uses.values():
        lines += _table(("credential", use.name), _use(use))
    for cluster in config.clusters.values():
        lines += _table(("clusters", cluster.name), _cluster(config, cluster))
    for profile in config.profiles.values():
        lines += _table(("profiles", profile.name), _profile(profile))
    return "\n".join(lines)


def _table(path: tuple[str, ...], fields: Iterable[tuple[str, object]]) -> list[str]:
    header = ".".join(name if _BARE_KEY.fullmatch(name) else json.dumps(name) for name in path)
    return [f"[{header}]", *(f"{key} = {_value(value)}" for key, value in fields), ""]


def _fields(struct: Struct) -> Iterator[tuple[str, object]]:
    for key in struct.__struct_fields__:
        yield key, getattr(struct, key)


def _use(use: CredentialUse) -> Iterator[tuple[str, object]]:
    for key in ("nodes", "clusters"):
        if value := getattr(use, key):
            yield key, value


def _cluster(config: Config, cluster: Cluster) -> Iterator[tuple[str, object]]:
    for key in ("publisher", "nodes", "credential"):
        if (value := getattr(cluster, key)) not in (None, ()):
            yield key, value
    for section in ("ssh", "timeouts", "limits"):
        general = dict(_fields(getattr(config, section)))
        for key, value in _fields(getattr(cluster, section)):
            if value != general[key]:
                yield key, value


def _profile(profile: Profile) -> Iterator[tuple[str, object]]:
    """Every key: a missing one would mean that of the built-in profile."""
    for key, value in _fields(profile):
        if key != "name":
            yield key, "" if value is None else value


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"{value:.0f}" if value.is_integer() else repr(value)
        case tuple():
            return f"[{', '.join(map(_value, value))}]"
        case None:
            return '""'
        case str() | Path():
            return _string(str(value))
    raise TypeError(f"no TOML for {type(value).__name__}")


def _string(text: str) -> str:
    # JSON's escapes are TOML's too, except for DEL and for surrogates, which ensure_ascii would
    # use.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
