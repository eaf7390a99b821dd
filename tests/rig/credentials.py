"""Logins for tests: named credentials of a daemon, and the options of `cucmctl`."""

from pathlib import Path

from rig import written
from rig.lab import Lab


def named_credential(folder: Path, name: str, username: str, password: str) -> str:
    """Writes the two files of a credential; returns the section of the configuration for them."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for kind, text in (("username", username), ("password", password)):
        path = folder / f"{name}.{kind}"
        path.touch(0o600)
        path.write_text(text)
    written.PASSWORDS.add(password)
    return f'[credentials]\ndirectory = "{folder}"\n'


def login_options(folder: Path, lab: Lab) -> tuple[str, ...]:
    """Writes the password of the lab to a file; returns the options of `cucmctl` for this login."""
    secret = folder / "secret"
    secret.touch(0o600)
    secret.write_text(f"{lab.password}\n")
    return "--user", lab.username, "--password-file", str(secret)
