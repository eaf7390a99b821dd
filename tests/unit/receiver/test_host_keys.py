"""The receiver's host keys are made once, and never replaced."""

from __future__ import annotations

import os
from pathlib import Path

import asyncssh
import pytest

from cucmd.receiver.host_keys import HostKeyUnusable, key_pairs, load_host_keys
from cucmd.ssh.algorithms import usual_algorithms

RSA, ECDSA = "receiver_host_key_rsa", "receiver_host_key_ecdsa"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes keys once for all tests, because an RSA key takes long."""
    folder = tmp_path_factory.mktemp("keys")
    load_host_keys(folder)
    return folder


def copy(made: Path, folder: Path) -> Path:
    for name in (RSA, ECDSA):
        (folder / name).write_bytes((made / name).read_bytes())
        (folder / name).chmod(0o600)
    return folder


def fingerprints(keys: list[asyncssh.SSHKey]) -> list[str]:
    return [key.get_fingerprint() for key in keys]


def test_rsa_and_ecdsa_keys_are_made(made: Path) -> None:
    assert sorted(os.listdir(made)) == [ECDSA, RSA]
    for name in (RSA, ECDSA):
        assert (made / name).stat().st_mode & 0o777 == 0o600
    algorithms = [key.get_algorithm() for key in load_host_keys(made)]
    assert algorithms == ["ssh-rsa", "ecdsa-sha2-nistp256"]


def test_keys_stay_the_same(made: Path) -> None:
    assert fingerprints(load_host_keys(made)) == fingerprints(load_host_keys(made))


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_damaged_key_is_not_replaced(made: Path, tmp_path: Path, content: bytes) -> None:
    path = copy(made, tmp_path) / ECDSA
    path.write_bytes(content)
    with pytest.raises(
        HostKeyUnusable, match=f"{ECDSA} is not .*; restore it from a backup, or move it away"
    ):
        load_host_keys(tmp_path)
    assert path.read_bytes() == content
    path.unlink()
    assert len(load_host_keys(tmp_path)) == 2  # as the message advises


def test_wrong_key_type_is_named(made: Path, tmp_path: Path) -> None:
    path = copy(made, tmp_path) / ECDSA
    path.write_bytes((made / RSA).read_bytes())
    with pytest.raises(HostKeyUnusable, match="has a key of type ssh-rsa"):
        load_host_keys(tmp_path)


@pytest.mark.parametrize("legacy", [False, True])
def test_sha1_signatures_are_legacy(made: Path, legacy: bool) -> None:
    allowed = list(usual_algorithms(legacy=legacy).host_keys)
    signs = [
        name
        for pair in key_pairs(load_host_keys(made), allowed)
        for name in pair.host_key_algorithms
    ]
    assert {b"rsa-sha2-256", b"rsa-sha2-512", b"ecdsa-sha2-nistp256"} <= set(signs)
    assert (b"ssh-rsa" in signs) == legacy
