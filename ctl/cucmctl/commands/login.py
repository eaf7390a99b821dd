"""The login of a new job, from the options of `begin.add_login_options`.

What was not given is not sent: the cluster may have a credential.
"""

from __future__ import annotations

import argparse

from cucmctl.cli import password
from cucmctl.cli.options import UsageError
from cucmd.job.asked import Login


def check_user(arguments: argparse.Namespace) -> None:
    """Raises `UsageError`. To be called before the daemon is."""
    if arguments.user == "":
        raise UsageError("--user: '' is empty; expected the platform administrator's name")
    if arguments.password_file is not None and not arguments.user:
        raise UsageError("--password-file: needs --user, whose password it is")


def login_of(arguments: argparse.Namespace) -> Login:
    """Asks for the password on the terminal, if a user was given and nothing else."""
    if arguments.credential is not None:
        return Login(username=arguments.user, credential=arguments.credential)
    if not arguments.user:
        return Login()
    if arguments.password_file is not None:
        secret = password.from_file(arguments.password_file, arguments.user)
    else:
        secret = password.from_terminal(arguments.user)
    return Login(username=arguments.user, password=secret)
