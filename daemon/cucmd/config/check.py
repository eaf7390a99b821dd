"""`cucmd check`: prints the configuration as it is used, or everything that is wrong with it.

What it prints on standard output is a valid configuration file, without secrets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import TextIO

from cucmd.config import rules
from cucmd.config.credentials import credential_names, credentials_directory, load_credential
from cucmd.config.errors import ConfigError, CredentialRefused, UnknownCredential
from cucmd.config.load import load
from cucmd.config.model import Config
from cucmd.config.toml import to_toml

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
    print(to_toml(config), file=out)
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
