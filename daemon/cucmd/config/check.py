"""`cucmd check`: prints the configuration as it is used, or everything that is wrong with it.

What it prints on standard output is a valid configuration file, without secrets.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
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

# Where systemd looks for the credentials of a service, which root alone can read
# (systemd.exec(5), ImportCredential=), and how those begin that systemd/cucmd.service imports.
_FOLDERS = ("/etc/credstore", "/run/credstore")
STORES = tuple(f"{folder}{how}" for folder in _FOLDERS for how in ("", ".encrypted"))
IMPORTED = "cucmd."


def check(path: Path | None, environ: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """Prints the configuration or its problems. Returns the exit status, 0 or 78.

    A credential that the configuration names and that cannot be used is a problem, except where no
    directory is known: the service gets its credentials of systemd, and nobody else sees them.
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
    unusable = unusable_credentials(config, environ)
    for line in unusable:
        print(line, file=err)
    return BAD_CONFIGURATION if unusable else OK


def unusable_credentials(config: Config, environ: Mapping[str, str]) -> list[str]:
    """Why credentials that the configuration names cannot be used, a line for each. None where no
    directory of credentials is known.
    """
    if credentials_directory(config.credentials.directory, environ) is None:
        return []
    return [f"{where}: {why}" for where, why in _not_usable(_named(config), config, environ)]


def _named(config: Config) -> dict[str, str]:
    """The credentials that the configuration names -> where it does."""
    of_clusters = {
        cluster.credential: f"clusters.{cluster.name}.credential"
        for cluster in config.clusters.values()
        if cluster.credential
    }
    return {name: f'credential."{name}"' for name in config.credential_uses} | of_clusters


def _credentials(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """Lines about credentials: which exist, which of these cannot be used, and which can be sent to
    any node.
    """
    directory = credentials_directory(config.credentials.directory, environ)
    present: set[str] = set()
    if directory is None:
        yield "credentials: no directory; set credentials.directory or $CREDENTIALS_DIRECTORY"
        named = _named(config).keys()
        if stores := [store for store in map(Path, STORES) if os.access(store, os.R_OK)]:
            where = " and ".join(map(str, stores))
            present = {name for store in stores for name in _of_service(store)}
            yield f"the service gets those of {where}: {_listed(present)}"
            if missing := named - present:
                yield f"not there, so that its unit has to load it: {_listed(missing)}"
        present |= named
    else:
        try:
            present = set(credential_names(directory))
        except OSError as error:
            yield f"credentials: {str(directory)!r}: {error.strerror}"
        else:
            yield f"credentials in {str(directory)!r}: {_listed(present)}"
            others = dict.fromkeys(present - _named(config).keys(), "not usable")
            for what, why in _not_usable(others, config, environ):
                yield f"{what}: {why}"
    for name in sorted(present - config.credential_uses.keys()):
        if rules.is_credential_name(name):
            yield (
                f"not tied: who may start jobs can send credential '{name}' to any machine; "
                f'[credential."{name}"] with nodes or clusters prevents that'
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(ascii, sorted(names))) or "none"


def _of_service(store: Path) -> Iterator[str]:
    """The credentials that `ImportCredential=` of the unit takes from there."""
    return (name for name in credential_names(store) if name.startswith(IMPORTED))


def _not_usable(
    names: Mapping[str, str], config: Config, environ: Mapping[str, str]
) -> Iterator[tuple[str, Exception]]:
    """names: with what is given back for each of them."""
    for name, what in sorted(names.items()):
        try:
            load_credential(name, config.credentials.directory, environ)
        except (UnknownCredential, CredentialRefused) as error:
            yield what, error


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
