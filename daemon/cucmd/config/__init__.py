"""TOML and environment -> frozen structs, every error with its key and its line.

Every setting is checked here. Other parts use it without asking where it came from.

    model.py        PURE  `Config` and its parts: the settings as they are used
    keys.py         PURE  every key of the file, and what it accepts
    rules.py        PURE  what paths, patterns, windows and names may look like
    profiles.py     PURE  the built-in profiles
    source.py       the file as a table
    lines.py        PURE  finds the line of a key
    reading.py      reads tables key by key, and notes every problem
    timeouts.py     timeouts of file and environment
    clusters.py     clusters, profiles, and the nodes to which credentials are tied
    load.py         file and environment -> `Config`
    credentials.py  named credentials
    restart.py      PURE  settings that a running daemon cannot change
    check.py        `cucmd check`
    toml.py         PURE  writes the configuration
    errors.py       what can be wrong with a file, and with a request
"""

from cucmd.config.check import check
from cucmd.config.credentials import Credential, load_credential
from cucmd.config.errors import (
    ConfigError,
    CredentialRefused,
    InvalidValue,
    Problem,
    UnknownCredential,
    UnknownProfile,
)
from cucmd.config.load import Overrides, load
from cucmd.config.model import (
    Access,
    Cluster,
    Config,
    CredentialSettings,
    CredentialUse,
    Daemon,
    Limits,
    NodeSettings,
    ReceiverSettings,
    Retention,
    RetrySettings,
    Ssh,
)
from cucmd.config.profiles import Profile
from cucmd.config.restart import not_until_restart

__all__ = [
    "Access",
    "Cluster",
    "Config",
    "ConfigError",
    "Credential",
    "CredentialRefused",
    "CredentialSettings",
    "CredentialUse",
    "Daemon",
    "InvalidValue",
    "Limits",
    "NodeSettings",
    "Overrides",
    "Problem",
    "Profile",
    "ReceiverSettings",
    "Retention",
    "RetrySettings",
    "Ssh",
    "UnknownCredential",
    "UnknownProfile",
    "check",
    "load",
    "load_credential",
    "not_until_restart",
]
