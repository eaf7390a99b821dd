"""SHA-1 and CBC are legacy algorithms, and the type of a known host key comes first."""

import pytest

from cucmd.ssh.algorithms import host_key_order, key_type, usual_algorithms


def test_default_has_no_sha1_or_cbc():
    algorithms = usual_algorithms()
    assert not [name for name in algorithms.kex + algorithms.host_keys if "sha1" in name]
    assert not [name for name in algorithms.ciphers if "cbc" in name]
    assert "ssh-rsa" not in algorithms.host_keys


def test_legacy_algorithms_come_last():
    modern, legacy = usual_algorithms(), usual_algorithms(legacy=True)
    for field in ("kex", "ciphers", "macs", "host_keys"):
        few, many = getattr(modern, field), getattr(legacy, field)
        assert many[: len(few)] == few
    assert {"diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1"} <= set(legacy.kex)


@pytest.mark.parametrize("known", ["ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519"])
def test_known_key_type_comes_first(known):
    algorithms = usual_algorithms()
    order = host_key_order(algorithms, frozenset({known}))
    assert key_type(order[0]) == known
    assert sorted(order) == sorted(algorithms.host_keys)
