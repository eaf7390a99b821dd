"""Every algorithm that we offer works, and the legacy ones only if they are allowed.

Run this before the bound of `cryptography` is raised.
"""

import pytest

from cucmd.failure import NodeFailed
from cucmd.ssh.algorithms import usual_algorithms
from cucmd.ssh.known_hosts import Policy

MODERN, ALL = usual_algorithms(), usual_algorithms(legacy=True)
# vos/NODES.md, section 1: what a node on 12.5SU5 lists.
NODE_12_5 = {
    "kex_algs": [
        "ecdh-sha2-nistp521",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp256",
        "diffie-hellman-group14-sha1",
        "diffie-hellman-group14-sha256",
        "diffie-hellman-group16-sha512",
    ],
    "encryption_algs": [
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
    ],
    "mac_algs": ["hmac-sha2-256", "hmac-sha2-512", "hmac-sha1"],
}
# The oldest nodes: OpenSSH 5.3 before it used CTR ciphers.
NODE_OLD = {
    "kex_algs": ["diffie-hellman-group-exchange-sha1", "diffie-hellman-group1-sha1"],
    "encryption_algs": ["aes128-cbc", "3des-cbc"],
    "mac_algs": ["hmac-sha1"],
    "signature_algs": ["ssh-rsa"],
}


@pytest.fixture(scope="module")
def rsa_key():
    import asyncssh

    return asyncssh.generate_private_key("ssh-rsa", key_size=2048)


async def log_in(ssh, connect, rsa_key, options, *, legacy):
    async with ssh.serve(ssh.node(), [rsa_key], **options) as node:
        shell = await connect(node.port, policy=Policy("off", legacy_algorithms=legacy))
        assert await shell.receive() == b"admin:"
        await shell.aclose()


async def test_release_12_5_connects_by_default(bridge, ssh, connect, rsa_key):
    await log_in(ssh, connect, rsa_key, NODE_12_5, legacy=False)


async def test_oldest_node_needs_legacy_algorithms(bridge, ssh, connect, rsa_key):
    with pytest.raises(NodeFailed, match="diffie-hellman-group1-sha1") as caught:
        await log_in(ssh, connect, rsa_key, NODE_OLD, legacy=False)
    assert caught.value.failure.code == "no_common_algorithm"
    await log_in(ssh, connect, rsa_key, NODE_OLD, legacy=True)


OFFERS = (
    [("kex_algs", name, name not in MODERN.kex) for name in ALL.kex]
    + [("encryption_algs", name, name not in MODERN.ciphers) for name in ALL.ciphers]
    + [("mac_algs", name, False) for name in ALL.macs]
    + [("signature_algs", name, name == "ssh-rsa") for name in ALL.host_keys if "rsa" in name]
)


@pytest.mark.parametrize(("option", "name", "legacy"), OFFERS)
async def test_offered_algorithm_works(bridge, ssh, connect, rsa_key, option, name, legacy):
    options = {"encryption_algs": ["aes128-ctr"], option: [name]}  # GCM would need no MAC
    await log_in(ssh, connect, rsa_key, options, legacy=legacy)
