"""PURE. Writes the configuration as TOML. It has no secrets, so anybody may see the text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import asdict

from cucmd.config.model import SECTIONS, ClusterSettings, Config
from cucmd.toml_file import dotted

# The names of a table -> its keys -> their values as TOML.
_Tables: TypeAlias = dict[tuple[str, ...], dict[str, str]]

# The sections whose keys a cluster may have as its own.
_CLUSTER_SECTIONS = ("ssh", "timeouts", "limits")


def config_as_toml(config: Config, *, everything: bool) -> str:
    """Returns the text of a file with the settings that differ from the defaults, or with
    `everything`.
    """
    defaults = {} if everything else _tables(Config())
    lines: list[str] = []
    for path, keys in _tables(config).items():
        default = defaults.get(path, {})
        # A changed profile is written completely, because a missing key would get the value of the
        # built-in profile.
        complete = path[0] == "profiles" and keys != default
        changed = [key for key in keys if complete or keys[key] != default.get(key)]
        if changed:
            lines += [f"[{dotted(path)}]", *(f"{key} = {keys[key]}" for key in changed), ""]
    return "\n".join(lines)


def _tables(config: Config) -> _Tables:
    """Returns all tables. A cluster's table has only keys that differ from the general ones."""
    made: dict[tuple[str, ...], Iterable[tuple[str, object]]] = {}
    for name in SECTIONS:
        made[(name,)] = asdict(getattr(config, name)).items()
    for use in config.credential_uses.values():
        made["credential", use.name] = _set_keys(use, "nodes", "clusters")
    for cluster in config.clusters.values():
        made["clusters", cluster.name] = _cluster_keys(config, cluster)
    for profile in config.profiles.values():
        keys = asdict(profile)
        made["profiles", keys.pop("name")] = keys.items()
    return {path: {key: toml_value(value) for key, value in keys} for path, keys in made.items()}


def toml_value(value: object) -> str:
    """Returns the value of a setting as TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"{value:.0f}" if value.is_integer() else repr(value)
        case tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case None:
            return '""'
        case str() | Path():
            # TOML has the escapes of JSON, except for DEL and for the surrogates that ensure_ascii
            # would write. Bytes of a path that are not UTF-8 are surrogates in Python, which TOML
            # cannot express. They are replaced by "?".
            text = str(value).encode("utf-8", "replace").decode()
            return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
    raise TypeError(f"no TOML for {type(value).__name__}")


def _set_keys(struct: Struct, *keys: str) -> Iterator[tuple[str, object]]:
    """Yields (key, value) of those of the keys that are set."""
    for key in keys:
        if (value := getattr(struct, key)) not in (None, ()):
            yield key, value


def _cluster_keys(config: Config, cluster: ClusterSettings) -> Iterator[tuple[str, object]]:
    yield from _set_keys(cluster, "publisher", "nodes", "credential")
    for section in _CLUSTER_SECTIONS:
        general = asdict(getattr(config, section))
        own = asdict(getattr(cluster, section))
        yield from ((key, value) for key, value in own.items() if value != general[key])
