"""`cucmd check`: prints what the configuration has set, or what is wrong with it.

What it prints on standard output is a valid configuration file, without secrets.
"""

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

# Where systemd looks for the credentials of a service, which root alone can read
# (systemd.exec(5), ImportCredential=), and how those begin that systemd/cucmd.service imports.
_FOLDERS = ("/etc/credstore", "/run/credstore")
STORES = tuple(f"{folder}{how}" for folder in _FOLDERS for how in ("", ".encrypted"))
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
    """Prints what differs from the defaults, or what is wrong. Returns the exit status, 0 or 78.

    everything  the defaults are printed too, and all built-in profiles
    stores      the folders from which systemd takes the credentials of the service; empty if this
                user cannot look into them
    """
    try:
        config = load(path, environ)
    except ConfigError as error:
        print(error, file=err)
        return BAD_CONFIGURATION
    for notice in config.notices:
        print(notice, file=err)
    print(f"# {config.origin}", file=out)
    named = _named(config)
    directory = credentials_directory(config.credentials.directory, environ)
    if directory is None:
        present, wrong, said = _of_systemd(named, stores)
    else:
        wrong = unusable_credentials(config, environ)
        try:
            present = set(credential_names(directory))
            said = [f"credentials in {str(directory)!r}: {_listed(present)}"]
        except OSError as error:
            present = set()
            said = [f"credentials: {str(directory)!r}: {error.strerror}"]
        others = dict.fromkeys(present - named.keys(), "not usable")
        said += [f"{what}: {why}" for what, why in _not_usable(others, config, environ)]
    for line in said:
        print(f"# {line}", file=out)
    for name in sorted(present - config.credential_uses.keys()):
        if rules.is_credential_name(name):
            print(
                f"# not tied: who may start jobs can send credential '{name}' to any machine; "
                f'[credential."{name}"] with nodes or clusters prevents that',
                file=out,
            )
    print(file=out)
    print(
        config_as_toml(config, everything=everything) or "# nothing differs from the defaults",
        file=out,
    )
    for line in wrong:
        print(line, file=err)
    return BAD_CONFIGURATION if wrong else OK


def unusable_credentials(config: Config, environ: Mapping[str, str]) -> list[str]:
    """Says why credentials that the configuration names cannot be used, a line for each. Returns an
    empty list if no directory of credentials is known.
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


def _of_systemd(
    named: Mapping[str, str], stores: Sequence[str]
) -> tuple[set[str], list[str], list[str]]:
    """Looks where systemd takes the credentials of the service from, since nobody else can see
    those that it has. Returns which there are, lines about missing ones, and lines for the output.
    """
    said = ["credentials: no directory; set credentials.directory or $CREDENTIALS_DIRECTORY"]
    if not stores:
        if named:
            said.append(f"root alone sees whether the service gets {_listed(named)}")
        return set(named), [], said
    found = [store for store in map(Path, stores) if store.is_dir()]
    present = {name for store in found for name in credential_names(store)}
    imported = {name for name in present if name.startswith(_IMPORTED)}
    said.append(f"the service gets those of {' and '.join(stores)}: {_listed(imported)}")
    missing = named.keys() - imported
    if others := [name for name in missing if not name.startswith(_IMPORTED)]:
        said.append(f"its unit has to load these itself (LoadCredential=): {_listed(others)}")
    wrong = [
        f"{where}: no credential {name!r}: there is no {name}.password in {' or '.join(stores)}"
        for name, where in sorted(named.items())
        if name in missing and name not in others
    ]
    return imported | named.keys(), wrong, said


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(ascii, sorted(names))) or "none"


def _not_usable(
    names: Mapping[str, str], config: Config, environ: Mapping[str, str]
) -> Iterator[tuple[str, Exception]]:
    """Yields what `names` has for each one that is not usable, and why it is not."""
    for name, what in sorted(names.items()):
        try:
            load_credential(name, config.credentials.directory, environ)
        except (UnknownCredential, CredentialRefused) as error:
            yield what, error
