"""Logins by both methods, refused passwords, and secrets in texts."""

import logging
import traceback

import asyncssh
import pytest

from cucmd.failure import NodeFailed
from cucmd.ssh.known_hosts import Policy
from cucmd.vos.secrets import MASK, Secrets

HIDDEN, SHOWN = False, True


async def refusal(connect, port, **given):
    with pytest.raises(NodeFailed) as caught:
        await connect(port, **given)
    failure = caught.value.failure
    assert failure.code == "auth_failed"
    assert not failure.retryable
    assert f"127.0.0.1:{port}" in failure.message
    return failure


@pytest.mark.parametrize(
    "challenges",
    [
        [[("Password: ", HIDDEN)]],
        [[("", HIDDEN)]],
        [[("Password: ", HIDDEN)], []],
        [[], [("Password for administrator@node: ", HIDDEN)], []],
        [[("Login name: ", SHOWN), ("Password: ", HIDDEN)]],
        [[("Password: ", HIDDEN)], [("Current password: ", HIDDEN)]],
    ],
)
async def test_every_form_of_challenge_is_answered(bridge, connect, ssh, challenges):
    node = ssh.node(methods=("keyboard-interactive",), challenges=challenges)
    async with ssh.serve(node):
        shell = await connect(node.port)
        await shell.aclose()
    for asked, answered in zip(challenges, node.answers, strict=True):
        expected = [ssh.username if echo else ssh.password for _, echo in asked]
        assert answered == expected


@pytest.mark.parametrize(
    ("methods", "tried"),
    [
        (("password",), "password"),
        (("keyboard-interactive",), "keyboard-interactive"),
        (("password", "keyboard-interactive"), "keyboard-interactive"),
    ],
)
async def test_wrong_password_costs_one_attempt(bridge, connect, ssh, methods, tried):
    async with ssh.serve(ssh.node(methods=methods)) as node:
        failure = await refusal(connect, node.port, password="wrong")
        assert "administrator" in failure.message
        assert f"(tried {tried})" in failure.message
        await ssh.until(lambda: node.connections == 0)
    assert attempts(node) == 1


def attempts(node):
    """Returns how often the node was given a password."""
    return node.events.count("password") + len(node.answers)


async def test_expired_password_is_named(bridge, connect, ssh):
    async with ssh.serve(ssh.node(password_expired=True)) as node:
        failure = await refusal(connect, node.port)
    assert failure.message.endswith("Your password has expired.")  # the words of the node
    assert node.events.count("password") == 1


async def test_public_key_is_never_offered(bridge, connect, ssh):
    class AcceptsKeys(ssh.server):
        def public_key_auth_supported(self):
            return True

    async with ssh.serve(ssh.node(methods=()), server=AcceptsKeys) as node:
        failure = await refusal(connect, node.port)
    assert "neither password nor keyboard-interactive" in failure.message


@pytest.mark.parametrize(
    ("reason", "code"),
    [("Too many authentication failures", "auth_failed"), ("Out of memory", "connection_lost")],
)
async def test_disconnect_during_login(bridge, connect, ssh, reason, code):
    class Disconnects(ssh.server):
        def validate_password(self, username, password):
            raise asyncssh.ProtocolError(reason)

    async with ssh.serve(ssh.node(), server=Disconnects) as node:
        with pytest.raises(NodeFailed, match=reason) as caught:
            await connect(node.port)
    assert caught.value.failure.code == code


@pytest.mark.parametrize("given", [{"password": "pa\udcffss"}, {"username": "admin\u0000"}])
async def test_unsendable_characters_are_refused(bridge, connect, given):
    failure = await refusal(connect, 22, **given)
    assert "characters" in failure.message
    assert "pa\udcff" not in repr(failure)


async def test_password_in_node_text_is_masked(bridge, connect, ssh):
    class Expired(ssh.server):
        def validate_password(self, username, password):
            raise asyncssh.PasswordChangeRequired(f"no shell for {ssh.password}")

    class Closed(ssh.server):
        def session_requested(self):
            raise asyncssh.ChannelOpenError(1, f"no shell for {ssh.password}")

    for server in (Expired, Closed):
        async with ssh.serve(ssh.node(), server=server) as node:
            with pytest.raises(NodeFailed) as caught:
                await connect(node.port, mask=Secrets((ssh.password,)).mask)
        assert f": no shell for {MASK}" in caught.value.failure.message
        assert ssh.password not in caught.value.failure.message


def is_of_ssh(one):
    return type(one).__module__.startswith("cucmd.ssh")


async def test_password_is_in_no_text(bridge, connect, ssh, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncssh").setLevel(logging.DEBUG)
    texts = []
    for methods in (("password",), ("keyboard-interactive",)):
        async with ssh.serve(ssh.node(methods=methods)) as node:
            shell = await connect(node.port)
            ours = [shell]
            for one in ours:  # the list grows in this loop
                inner = (each for each in vars(one).values() if hasattr(each, "__dict__"))
                ours += [each for each in inner if is_of_ssh(each) and each not in ours]
            assert len(ours) > 2
            texts += [repr(vars(one)) for one in ours]
            texts.append(repr(shell))
            await shell.aclose()

    class Refuses(ssh.server):
        def validate_password(self, username, password):
            return False

    async with ssh.serve(ssh.node(), server=Refuses) as node:
        with pytest.raises(NodeFailed) as caught:
            await connect(node.port, policy=Policy(host_keys="off"))
        texts += traceback.format_exception(caught.value)
    assert "password" in caplog.text  # asyncssh did log
    everything = caplog.text + "".join(texts)
    assert ssh.password not in everything
    assert ssh.password.encode().hex(" ") not in everything
