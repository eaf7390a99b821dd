"""`cucmd check`: prints the configuration as it is used, or everything that is wrong with it.

What it prints on standard output is a valid configuration file, without secrets.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

from cucmd.config import rules
from cucmd.config.credentials import credential_names, credentials_directory, load_credential
from cucmd.config.errors import ConfigError, CredentialRefused, UnknownCredential
from cucmd.config.load import load
from cucmd.config.model import Config
from cucmd.config.toml import document, tables

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
    print(document(tables(config)), file=out)
    unusable = unusable_credentials(config, environ)
    for line in unusable:
        print(line, file=err)
    return BAD_CONFIGURATION if unusable else OK


def unusable_credentials(config: Config, environ: Mapping[str, str]) -> list[str]:
    """Says why credentials that the configuration names cannot be used, a line for each. None where
    no directory of credentials is known.
    """
    if credentials_directory(config.credentials.directory, environ) is None:
        return []
    return [f"{where}: {why}" for where, why in _not_usable(_named(config), config, environ)]


def _named(config: Config) -> dict[str, str]:
    """Finds the credentials that the configuration names -> where it does."""
    of_clusters = {
        cluster.credential: f"clusters.{cluster.name}.credential"
        for cluster in config.clusters.values()
        if cluster.credential
    }
    return {name: f'credential."{name}"' for name in config.credential_uses} | of_clusters


def _credentials(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """Yields lines about credentials: which exist, which of these cannot be used, and which can be
    sent to any node.
    """
    directory = credentials_directory(config.credentials.directory, environ)
    present: set[str] = set()
    if directory is None:
        yield "credentials: no directory; set credentials.directory or $CREDENTIALS_DIRECTORY"
        named = _named(config).keys()
        if stores := _stores():
            where = " and ".join(map(str, stores))
            present = set(credentials_of_service())
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


def credentials_of_service() -> dict[str, Path]:
    """Finds the credentials that systemd would give the service if it started now, as
    `ImportCredential=` of its unit says: their names, and the files of their passwords. Root alone
    can see them.
    """
    return {
        name: store / f"{name}.password"
        for store in _stores()
        for name in credential_names(store)
        if name.startswith(IMPORTED)
    }


def _stores() -> list[Path]:
    return [store for store in map(Path, STORES) if os.access(store, os.R_OK)]


def _not_usable(
    names: Mapping[str, str], config: Config, environ: Mapping[str, str]
) -> Iterator[tuple[str, Exception]]:
    """Yields what `names` has for each one that is not usable, and why it is not."""
    for name, what in sorted(names.items()):
        try:
            load_credential(name, config.credentials.directory, environ)
        except (UnknownCredential, CredentialRefused) as error:
            yield what, error
