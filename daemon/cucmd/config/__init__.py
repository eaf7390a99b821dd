"""Reads the configuration from a TOML file and the environment into frozen structs.

Every setting is checked here, so that the other parts do not check it again.

    model.py            PURE  `Config` and its parts; the fields are the keys of the file
    rules.py            PURE  checks of paths, patterns, windows, names and addresses
    profiles.py         profiles of the file, and the built-in ones from profiles.toml
    timeout_sources.py  merges the timeouts of file and environment
    load.py             file and environment -> `Config`
    credentials.py      reads named credentials
    config_thread.py    reads files in a thread, with a deadline
    as_toml.py          PURE  writes the configuration as TOML
    check_command.py    `cucmd check`
    errors.py           exceptions for a request that the configuration does not allow
"""

from cucmd.config.check_command import check, unusable_credentials
from cucmd.config.credentials import load_credential
from cucmd.config.errors import (
    CredentialRefused,
    InvalidValue,
    UnknownCredential,
    UnknownProfile,
)
from cucmd.config.load import load
from cucmd.config.model import (
    ClusterSettings,
    Config,
    CredentialUse,
    Limits,
    Retention,
    SshSettings,
)
from cucmd.config.profiles import Profile
from cucmd.toml_file import ConfigError, wrong_value

__all__ = [
    "ClusterSettings",
    "Config",
    "ConfigError",
    "CredentialRefused",
    "CredentialUse",
    "InvalidValue",
    "Limits",
    "Profile",
    "Retention",
    "SshSettings",
    "UnknownCredential",
    "UnknownProfile",
    "check",
    "load",
    "load_credential",
    "unusable_credentials",
    "wrong_value",
]
