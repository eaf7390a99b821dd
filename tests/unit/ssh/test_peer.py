"""What counts as one address."""

import pytest

from cucmd.ssh.peer import source_of


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("192.0.2.5", "192.0.2.5"),
        ("::ffff:192.0.2.5", "192.0.2.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_one_link_of_ipv6_counts_as_one_address(peer: str, source: str) -> None:
    assert source_of(peer) == source
