"""Loads the receiver's own host keys, which are made once and kept for ever.

A key file is never replaced. Nodes remember the key by address and port, and a node that meets
another key stalls (vos/NODES.md, section 5.3).
"""

from __future__ import annotations

import os
from pathlib import Path

import asyncssh

from cucmd.durable import replace_file

# Every node's client accepts RSA. ECDSA is quicker, for clients that accept it too.
KEYS: tuple[tuple[str, str, dict[str, int]], ...] = (
    ("receiver_host_key_rsa", "ssh-rsa", {"key_size": 3072}),
    ("receiver_host_key_ecdsa", "ecdsa-sha2-nistp256", {}),
)

_ADVICE = (
    "restore it from a backup, or move it away to get a new key; nodes that remember the old key"
    " may then stall"
)


class HostKeyUnusable(Exception):
    """Raised if a key file exists and cannot be used. An administrator has to look at it."""


def load_host_keys(directory: Path) -> list[asyncssh.SSHKey]:
    """Returns the keys, and makes those that do not exist yet.

    Making them takes a second, so call this in a worker thread. Raises HostKeyUnusable, or OSError
    if the directory cannot be written to.
    """
    return [_load(directory / name, algorithm, size) for name, algorithm, size in KEYS]


def key_pairs(keys: list[asyncssh.SSHKey], allowed: list[str]) -> list[asyncssh.SSHKeyPair]:
    """Returns the keys for `asyncssh.listen`: one pair for each allowed signature algorithm.

    A single pair for an RSA key would also sign with SHA-1, and would use the algorithm that the
    last connection asked for in all connections.
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
    # The state directory is locked, so no other daemon makes the same key at the same time.
    if not os.path.lexists(path):
        key = asyncssh.generate_private_key(algorithm, comment="cucmd receiver", **size)
        replace_file(path, [key.export_private_key("openssh")], 0o600)
    try:
        key = asyncssh.read_private_key(path)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        problem = f"{path} is not a private key without passphrase"
        raise HostKeyUnusable(f"{problem}; {_ADVICE}") from error
    except OSError as error:
        raise HostKeyUnusable(f"{path} cannot be read: {error.strerror}") from error
    if key.get_algorithm() != algorithm:
        problem = f"{path} has a key of type {key.get_algorithm()}, not {algorithm}"
        raise HostKeyUnusable(f"{problem}; {_ADVICE}")
    return key
