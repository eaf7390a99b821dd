"""Implements `cucmd check`. Its standard output is a valid configuration file without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from cucmd.config import rules
from cucmd.config.as_toml import config_as_toml
from cucmd.config.credentials import credential_names, credentials_directory, load_credential
from cucmd.config.errors import CredentialRefused, UnknownCredential
from cucmd.config.load import load
from cucmd.config.model import Config
from cucmd.toml_file import ConfigError

OK = 0
BAD_CONFIGURATION = 78  # EX_CONFIG

# The folders in which systemd looks for the credentials of a service (systemd.exec(5),
# ImportCredential=); only root can read them. systemd/cucmd.service imports the credentials whose
# names begin with `_IMPORTED`.
_FOLDERS = ("/etc/credstore", "/run/credstore")
STORES = tuple(f"{folder}{suffix}" for folder in _FOLDERS for suffix in ("", ".encrypted"))
_IMPORTED = "cucmd."


def check(
    path: Path | None,
    environ: Mapping[str, str],
    out: TextIO,
    err: TextIO,
    *,
    everything: bool = False,
    stores: Sequence[str] = (),
) -> int:
    """Prints the settings that differ from the defaults, or the first error of the configuration.

    Returns the exit code of the process: 0, or 78 if something is wrong.

    everything  whether to print the defaults and the built-in profiles too
    stores      the folders from which systemd takes the credentials of the service; empty if this
                user cannot read them
    """
    try:
        config = load(path, environ)
    except ConfigError as error:
        print(error, file=err)
        return BAD_CONFIGURATION
    for notice in config.notices:
        print(notice, file=err)
    print(f"# {config.origin}", file=out)
    named = _named_credentials(config)
    directory = credentials_directory(config.credentials.directory, environ)
    if directory is None:
        present, errors, lines = _look_into_stores(named, stores)
    else:
        errors = unusable_credentials(config, environ)
        try:
            present = set(credential_names(directory))
            lines = [f"credentials in {str(directory)!r}: {_list_names(present)}"]
        except OSError as error:
            present = set()
            lines = [f"credentials: {str(directory)!r}: {error.strerror}"]
        others = dict.fromkeys(present - named.keys(), "not usable")
        lines += [f"{what}: {why}" for what, why in _find_unusable(others, config, environ)]
    for line in lines:
        print(f"# {line}", file=out)
    for name in sorted(present - config.credential_uses.keys()):
        if rules.is_credential_name(name):
            print(
                f"# credential '{name}' may be sent to any machine by those who may start jobs; "
                f'[credential."{name}"] with nodes or clusters limits that',
                file=out,
            )
    print(file=out)
    print(
        config_as_toml(config, everything=everything) or "# nothing differs from the defaults",
        file=out,
    )
    for line in errors:
        print(line, file=err)
    return BAD_CONFIGURATION if errors else OK


def unusable_credentials(config: Config, environ: Mapping[str, str]) -> list[str]:
    """Returns a line for each credential that the configuration names and that cannot be used."""
    return [
        f"{where}: {why}"
        for where, why in _find_unusable(_named_credentials(config), config, environ)
    ]


def _named_credentials(config: Config) -> dict[str, str]:
    """Returns each credential that the configuration names -> the key that names it."""
    of_clusters = {
        cluster.credential: f"clusters.{cluster.name}.credential"
        for cluster in config.clusters.values()
        if cluster.credential
    }
    return {name: f'credential."{name}"' for name in config.credential_uses} | of_clusters


def _look_into_stores(
    named: Mapping[str, str], stores: Sequence[str]
) -> tuple[set[str], list[str], list[str]]:
    """Looks for credentials in the folders of systemd, because only the running service can see
    the credentials that it has.

    Returns the names that were found, an error for each missing one, and lines for the output.
    """
    lines = ["credentials: no directory; set credentials.directory or $CREDENTIALS_DIRECTORY"]
    if not stores:
        if named:
            lines.append(f"only root can see whether the service gets {_list_names(named)}")
        return set(named), [], lines
    found = [store for store in map(Path, stores) if store.is_dir()]
    present = {name for store in found for name in credential_names(store)}
    imported = {name for name in present if name.startswith(_IMPORTED)}
    lines.append(f"the service gets these from {' and '.join(stores)}: {_list_names(imported)}")
    missing = named.keys() - imported
    if others := [name for name in missing if not name.startswith(_IMPORTED)]:
        lines.append(f"the unit must load these itself (LoadCredential=): {_list_names(others)}")
    errors = [
        f"{where}: no credential {name!r}: there is no {name}.password in {' or '.join(stores)}"
        for name, where in sorted(named.items())
        if name in missing and name not in others
    ]
    return imported | named.keys(), errors, lines


def _list_names(names: Iterable[str]) -> str:
    return ", ".join(map(ascii, sorted(names))) or "none"


def _find_unusable(
    names: Mapping[str, str], config: Config, environ: Mapping[str, str]
) -> Iterator[tuple[str, Exception]]:
    """Yields (description, reason) for each credential that cannot be used.

    names  the name of each credential to try -> its description in the output
    """
    for name, what in sorted(names.items()):
        try:
            load_credential(name, config.credentials.directory, environ)
        except (UnknownCredential, CredentialRefused) as error:
            yield what, error
