"""PURE. Writes the configuration as a file.

Each value is written as TOML. There is no secret in a configuration, and none here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import asdict

from cucmd.config.model import SECTIONS, ClusterSettings, Config
from cucmd.toml_file import dotted

# The names of a table -> its keys -> their values.
_Tables: TypeAlias = dict[tuple[str, ...], dict[str, str]]

# The sections whose keys a cluster may have too.
_OF_CLUSTERS = ("ssh", "timeouts", "limits")


def config_as_toml(config: Config, *, everything: bool) -> str:
    """Returns the text of a file that makes this configuration: what differs from the defaults, or
    everything.
    """
    usual = {} if everything else _tables(Config())
    lines: list[str] = []
    for path, keys in _tables(config).items():
        general = usual.get(path, {})
        # A key that is missing from a profile would mean that of the built-in one, so a changed
        # profile is written as a whole.
        whole = path[0] == "profiles" and keys != general
        if written := {key: one for key, one in keys.items() if whole or general.get(key) != one}:
            assignments = [f"{key} = {one}" for key, one in written.items()]
            lines += [f"[{dotted(path)}]", *assignments, ""]
    return "\n".join(lines)


def _tables(config: Config) -> _Tables:
    """Returns the whole configuration. Clusters have only the keys that differ from the general
    ones.
    """
    made: dict[tuple[str, ...], Iterable[tuple[str, object]]] = {}
    for name in SECTIONS:
        made[(name,)] = asdict(getattr(config, name)).items()
    for use in config.credential_uses.values():
        made["credential", use.name] = _given(use, "nodes", "clusters")
    for cluster in config.clusters.values():
        made["clusters", cluster.name] = _cluster(config, cluster)
    for profile in config.profiles.values():
        keys = asdict(profile)
        made["profiles", keys.pop("name")] = keys.items()
    return {path: {key: toml_value(one) for key, one in keys} for path, keys in made.items()}


def toml_value(one: object) -> str:
    """Writes a value of a setting as TOML."""
    match one:
        case bool():
            return "true" if one else "false"
        case int():
            return str(one)
        case float():
            return f"{one:.0f}" if one.is_integer() else repr(one)
        case tuple():
            return f"[{', '.join(map(toml_value, one))}]"
        case None:
            return '""'
        case str() | Path():
            # JSON's escapes are TOML's too, except for DEL and for surrogates, which ensure_ascii
            # would use. Bytes of a path that are not UTF-8 are surrogates here, for which TOML has
            # no form.
            text = str(one).encode("utf-8", "replace").decode()
            return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
    raise TypeError(f"no TOML for {type(one).__name__}")


def _given(struct: Struct, *keys: str) -> Iterator[tuple[str, object]]:
    for key in keys:
        if (one := getattr(struct, key)) not in (None, ()):
            yield key, one


def _cluster(config: Config, cluster: ClusterSettings) -> Iterator[tuple[str, object]]:
    yield from _given(cluster, "publisher", "nodes", "credential")
    for section in _OF_CLUSTERS:
        general = asdict(getattr(config, section))
        own = asdict(getattr(cluster, section))
        yield from ((key, one) for key, one in own.items() if one != general[key])
