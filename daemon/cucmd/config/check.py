"""`cucmd check`: prints the configuration as it is used, or everything that is wrong with it.

What it prints on standard output is a valid configuration file, without secrets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import TextIO

from msgspec import Struct
from msgspec.structs import asdict

from cucmd.config import rules
from cucmd.config.credentials import credential_names, credentials_directory, load_credential
from cucmd.config.errors import ConfigError, CredentialRefused, UnknownCredential
from cucmd.config.load import load
from cucmd.config.model import SECTIONS, ClusterSettings, Config
from cucmd.config.reading import BARE_KEY

OK = 0
BAD_CONFIGURATION = 78  # EX_CONFIG


def check(path: Path | None, environ: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """Prints the configuration or its problems. Returns the exit status, 0 or 78.

    A credential that is missing or refused is named but is not an error: under systemd only the
    service itself can see its credentials.
    """
    try:
        config = load(path, environ)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=err)
        return BAD_CONFIGURATION
    for notice in config.notices:
        print(notice, file=err)
    for line in (config.origin, *_credentials(config, environ)):
        print(f"# {line}", file=out)
    print(file=out)
    print(_toml(config), file=out)
    return OK


def _credentials(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """Lines about credentials: which exist, which cannot be used, and which can be sent to any
    node. Those that are named in the configuration count although their files cannot be seen.
    """
    directory = credentials_directory(config.credentials.directory, environ)
    named = {cluster.credential for cluster in config.clusters.values() if cluster.credential}
    named |= config.credential_uses.keys()
    present: tuple[str, ...] = ()
    if directory is None:
        yield "credentials: no directory; set credentials.directory or $CREDENTIALS_DIRECTORY"
    else:
        try:
            present = credential_names(directory)
        except OSError as error:
            yield f"credentials: {str(directory)!r}: {error.strerror}"
        else:
            yield f"credentials in {str(directory)!r}: {', '.join(map(ascii, present)) or 'none'}"
            yield from _not_usable(named.union(present), config, environ)
    for name in sorted(named.union(present) - config.credential_uses.keys()):
        if rules.is_credential_name(name):
            yield (
                f"not tied: who may start jobs can send credential '{name}' to any machine; "
                f'[credential."{name}"] with nodes or clusters prevents that'
            )


def _not_usable(names: Set[str], config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(names):
        try:
            load_credential(name, config.credentials.directory, environ)
        except (UnknownCredential, CredentialRefused) as error:
            yield f"not usable: {error}"


def _toml(config: Config) -> str:
    """The whole configuration, so that it can be read and used again as the same. Clusters have
    only the keys that differ from the general ones.
    """
    lines: list[str] = []
    for name in SECTIONS:
        lines += _table((name,), asdict(getattr(config, name)).items())
    for use in config.credential_uses.values():
        lines += _table(("credential", use.name), _given(use, "nodes", "clusters"))
    for cluster in config.clusters.values():
        lines += _table(("clusters", cluster.name), _cluster(config, cluster))
    for profile in config.profiles.values():
        keys = asdict(profile)  # every key: a missing one would mean that of the built-in profile
        lines += _table(("profiles", keys.pop("name")), keys.items())
    return "\n".join(lines)


def _table(path: tuple[str, ...], fields: Iterable[tuple[str, object]]) -> list[str]:
    header = ".".join(name if BARE_KEY.fullmatch(name) else json.dumps(name) for name in path)
    return [f"[{header}]", *(f"{key} = {_value(value)}" for key, value in fields), ""]


def _given(struct: Struct, *keys: str) -> Iterator[tuple[str, object]]:
    for key in keys:
        if (value := getattr(struct, key)) not in (None, ()):
            yield key, value


def _cluster(config: Config, cluster: ClusterSettings) -> Iterator[tuple[str, object]]:
    yield from _given(cluster, "publisher", "nodes", "credential")
    for section in ("ssh", "timeouts", "limits"):
        general = asdict(getattr(config, section))
        own = asdict(getattr(cluster, section))
        yield from ((key, value) for key, value in own.items() if value != general[key])


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
