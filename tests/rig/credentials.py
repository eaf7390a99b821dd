"""Named credentials for a daemon, as an administrator would put them."""

from pathlib import Path

from rig import written


def named_credential(folder: Path, name: str, username: str, password: str) -> str:
    """Puts the two files below `folder`; gives the section of the configuration for it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for kind, text in (("username", username), ("password", password)):
        path = folder / f"{name}.{kind}"
        path.touch(0o600)
        path.write_text(text)
    written.PASSWORDS.add(password)
    return f'[credentials]\ndirectory = "{folder}"\n'
