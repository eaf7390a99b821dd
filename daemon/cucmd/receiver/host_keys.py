"""Loads the receiver's own host keys, which are made once and kept for ever.

A key that is there is never replaced. Nodes remember it by address and port, and a node that meets
another one stalls (vos/NODES.md, section 5.3).
"""

from __future__ import annotations

import os
from pathlib import Path

import asyncssh

from cucmd.durable import replace_file

# Every node's client has RSA; ECDSA is quicker for those that have it.
KEYS: tuple[tuple[str, str, dict[str, int]], ...] = (
    ("receiver_host_key_rsa", "ssh-rsa", {"key_size": 3072}),
    ("receiver_host_key_ecdsa", "ecdsa-sha2-nistp256", {}),
)

# Nodes remember the key, so a backup of it is better than a new one.
_ADVICE = (
    "restore it, or move it away: another is made, at which nodes that remember this one may stall"
)


class HostKeyUnusable(Exception):
    """A key file exists and cannot be used; an administrator has to look at it."""


def load_host_keys(directory: Path) -> list[asyncssh.SSHKey]:
    """Loads the keys, made first where there are none. Takes a second then: for a worker thread.

    Raises HostKeyUnusable, or OSError where the directory cannot be written.
    """
    return [_load(directory / name, algorithm, size) for name, algorithm, size in KEYS]


def key_pairs(keys: list[asyncssh.SSHKey], allowed: list[str]) -> list[asyncssh.SSHKeyPair]:
    """Makes the keys for `asyncssh.listen`: a pair for each signature algorithm that is allowed.

    One pair for a whole RSA key would also sign with SHA-1, and the algorithm that the last
    connection had asked for would hold for all of them.
    """
    pairs = []
    for key in keys:
        for algorithm in key.sig_algorithms:
            if algorithm.decode() in allowed:
                (pair,) = asyncssh.load_keypairs([key])
                pair.host_key_algorithms = [algorithm]
                pair.set_sig_algorithm(algorithm)
                pairs.append(pair)
    return pairs


def _load(path: Path, algorithm: str, size: dict[str, int]) -> asyncssh.SSHKey:
    if not os.path.lexists(path):  # nobody else makes one: the state directory is locked
        key = asyncssh.generate_private_key(algorithm, comment="cucmd receiver", **size)
        replace_file(path, [key.export_private_key("openssh")], 0o600)
    try:
        key = asyncssh.read_private_key(path)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        said = f"{path} is not a private key without passphrase"
        raise HostKeyUnusable(f"{said}; {_ADVICE}") from error
    except OSError as error:
        raise HostKeyUnusable(f"{path} cannot be read: {error.strerror}") from error
    if key.get_algorithm() != algorithm:
        said = f"{path} has a key of type {key.get_algorithm()}, not {algorithm}"
        raise HostKeyUnusable(f"{said}; {_ADVICE}")
    return key
