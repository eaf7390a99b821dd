"""TOML and environment -> frozen structs, every error with its key and its line.

The one rule: outside of this room nobody asks whether a setting is valid, nor where it came
from.

    model.py        PURE  `Config` and its parts: what is in force
    keys.py         PURE  every key of the file, and what it accepts
    rules.py        PURE  what paths, patterns, windows and names may look like
    profiles.py     PURE  the built-in profiles
    source.py       the file as a table
    lines.py        PURE  finds the line of a key
    reading.py      takes tables apart, and notes what does not fit
    deadlines.py    timeouts of file and environment
    clusters.py     clusters and profiles
    load.py         all of it together
    credentials.py  named credentials
    restart.py      PURE  what a running daemon cannot take up
    check.py        `cucmd check`
    toml.py         PURE  writes the configuration
    errors.py       what can be wrong with a file, and with a request measured against it
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
    Credentials,
    Daemon,
    Limits,
    NodeSettings,
    Receiver,
    Retry,
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
    "Credentials",
    "Daemon",
    "InvalidValue",
    "Limits",
    "NodeSettings",
    "Overrides",
    "Problem",
    "Profile",
    "Receiver",
    "Retry",
    "Ssh",
    "UnknownCredential",
    "UnknownProfile",
    "check",
    "load",
    "load_credential",
    "not_until_restart",
]
