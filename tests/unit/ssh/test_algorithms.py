"""Algorithms: SHA-1 and CBC only where configured; the type of a known host key comes first."""

import pytest

from cucmd.ssh.algorithms import host_key_order, key_type, usual_algorithms


def test_by_default_there_is_neither_sha1_nor_cbc():
    algorithms = usual_algorithms()
    assert not [name for name in algorithms.kex + algorithms.host_keys if "sha1" in name]
    assert not [name for name in algorithms.ciphers if "cbc" in name]
    assert "ssh-rsa" not in algorithms.host_keys


def test_the_group_exchange_is_only_offered_where_it_was_opted_in():
    assert not [name for name in usual_algorithms().kex if "group-exchange" in name]
    assert [name for name in usual_algorithms(legacy=True).kex if "group-exchange" in name]


def test_legacy_only_adds_and_only_at_the_end():
    modern, legacy = usual_algorithms(), usual_algorithms(legacy=True)
    for field in ("kex", "ciphers", "macs", "host_keys"):
        few, many = getattr(modern, field), getattr(legacy, field)
        assert many[: len(few)] == few
    assert {"diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1"} <= set(legacy.kex)


def test_no_option_is_left_to_the_default_of_asyncssh():
    options = usual_algorithms().options()
    assert options["compression_algs"] == ["none"]
    assert all(options.values())


@pytest.mark.parametrize("known", ["ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519"])
def test_the_type_of_a_known_key_comes_first(known):
    algorithms = usual_algorithms()
    order = host_key_order(algorithms, frozenset({known}))
    assert key_type(order[0]) == known
    assert sorted(order) == sorted(algorithms.host_keys)


def test_without_a_known_key_the_order_is_the_configured_one():
    algorithms = usual_algorithms()
    assert host_key_order(algorithms, frozenset()) == list(algorithms.host_keys)
