"""Makes frozen structs of TOML and environment, with the first error by its key and its line.

Every setting is checked here. Other parts use it without asking where it came from.

    model.py        PURE  `Config` and its parts: the keys of the file, and the settings as used
    rules.py        PURE  what paths, patterns, windows, names and addresses may look like
    profiles.py     what a profile is, how long files are written to, and the built-in profiles,
                    which are in profiles.toml
    timeout_sources.py  timeouts of file and environment
    load.py         file and environment -> `Config`: the sections, then clusters, profiles, and
                    the nodes to which credentials are tied
    credentials.py  named credentials
    config_thread.py    files are read in a thread, with a deadline
    as_toml.py      PURE  the configuration as TOML
    check_command.py    `cucmd check`
    errors.py       what can be wrong with a request
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
