"""Logging in: both ways in which nodes ask for a password, and what they do when it is wrong."""

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
async def test_keyboard_interactive_in_all_its_forms(bridge, connect, ssh, challenges):
    node = ssh.node(methods=("keyboard-interactive",), challenges=challenges)
    async with ssh.serve(node):
        shell = await connect(node.port)
        await shell.aclose()
    for asked, answered in zip(challenges, node.answers, strict=True):
        expected = [ssh.username if echo else ssh.password for _, echo in asked]
        assert answered == expected


async def test_password_refused_but_keyboard_interactive_accepted(
    bridge, connect, ssh, monkeypatch
):
    node = ssh.node(methods=("password", "keyboard-interactive"))
    monkeypatch.setattr(ssh.server, "validate_password", lambda *_: False)
    async with ssh.serve(node):
        shell = await connect(node.port)
        await shell.aclose()
    assert node.answers == [[ssh.password]]


@pytest.mark.parametrize(
    ("methods", "tried"),
    [
        (("password",), "password"),
        (("keyboard-interactive",), "keyboard-interactive"),
        (("password", "keyboard-interactive"), "keyboard-interactive"),
    ],
)
async def test_one_wrong_password_costs_one_attempt(bridge, connect, ssh, methods, tried):
    async with ssh.serve(ssh.node(methods=methods)) as node:
        failure = await refusal(connect, node.port, password="wrong")
        assert "administrator" in failure.message
        assert f"(tried {tried})" in failure.message
        await ssh.until(lambda: node.connections == 0)
    assert attempts(node) == 1


def attempts(node):
    """Returns how often the node was given a password."""
    return node.events.count("password") + len(node.answers)


@pytest.mark.parametrize("right", [True, False])
async def test_a_method_that_the_node_takes_off_its_list_has_not_judged_the_password(
    bridge, connect, ssh, monkeypatch, right
):
    """Only `password` is offered; once it is used, only keyboard-interactive."""

    def take_off(server, username, password):
        server.node.events.append("password")
        server.node.methods = ("keyboard-interactive",)
        return False

    monkeypatch.setattr(ssh.server, "validate_password", take_off)
    async with ssh.serve(ssh.node(methods=("password",))) as node:
        if right:
            shell = await connect(node.port)
            await shell.aclose()
        else:
            await refusal(connect, node.port, password="wrong")
    assert attempts(node) == 2


async def test_a_method_that_is_added_after_a_refusal_is_not_tried(
    bridge, connect, ssh, monkeypatch
):
    def add(server, username, password):
        server.node.events.append("password")
        server.node.methods = ("keyboard-interactive", "password")
        return False

    monkeypatch.setattr(ssh.server, "validate_password", add)
    async with ssh.serve(ssh.node(methods=("password",))) as node:
        await refusal(connect, node.port)
    assert attempts(node) == 1


async def test_a_method_that_asks_nothing_has_not_judged_the_password(
    bridge, connect, ssh, monkeypatch
):
    monkeypatch.setattr(ssh.server, "get_kbdint_challenge", lambda *_: False)
    async with ssh.serve(ssh.node(methods=("password", "keyboard-interactive"))) as node:
        shell = await connect(node.port)
        await shell.aclose()
        await refusal(connect, node.port, password="wrong")
    assert attempts(node) == 2, "one for each connection"


async def test_another_question_after_the_password_is_quoted_and_ends_the_login(
    bridge, connect, ssh
):
    """A second factor: the password is not its answer, and not for another method either."""
    challenges = [[("Password: ", HIDDEN)], [("Verification code: ", HIDDEN)]]
    node = ssh.node(methods=("password", "keyboard-interactive"), challenges=challenges)
    async with ssh.serve(node):
        failure = await refusal(connect, node.port)
    assert "'Verification code:'" in failure.message
    assert attempts(node) == 1


async def test_a_question_for_a_second_factor_does_not_get_the_password(bridge, connect, ssh):
    challenges = [[("Passcode or PIN: ", HIDDEN)]]
    both = ("password", "keyboard-interactive")
    async with ssh.serve(ssh.node(methods=both, challenges=challenges)) as node:
        shell = await connect(node.port)
        await shell.aclose()
    async with ssh.serve(ssh.node(methods=both[1:], challenges=challenges)) as alone:
        failure = await refusal(connect, alone.port)
    assert "'Passcode or PIN:'" in failure.message
    assert (attempts(node), attempts(alone)) == (1, 0)


@pytest.mark.parametrize("again", ["Password: ", "Sorry, try again. Password: "])
async def test_question_that_comes_again_is_not_answered_again(bridge, connect, ssh, again):
    challenges = [[("Password: ", HIDDEN)], *[[(again, HIDDEN)]] * 50]
    node = ssh.node(methods=("keyboard-interactive",), challenges=challenges)
    async with ssh.serve(node):
        failure = await refusal(connect, node.port)
    assert "refused the login" in failure.message
    assert node.answers == [[ssh.password]]


async def test_endless_questions_get_the_password_twice_at_most(bridge, connect, ssh):
    challenges = [[(f"Current password {number}: ", HIDDEN)] for number in range(50)]
    node = ssh.node(methods=("keyboard-interactive",), challenges=challenges)
    async with ssh.serve(node):
        await refusal(connect, node.port)
    assert node.answers == [[ssh.password]] * 2


async def test_endless_messages_end_the_login(bridge, connect, ssh):
    node = ssh.node(methods=("keyboard-interactive",), challenges=[[]] * 500)
    async with ssh.serve(node):
        await refusal(connect, node.port)
    assert len(node.answers) <= 10


async def test_expired_password_is_named(bridge, connect, ssh):
    async with ssh.serve(ssh.node(password_expired=True)) as node:
        failure = await refusal(connect, node.port)
    assert failure.message.endswith("Your password has expired.")  # as the node put it
    assert node.events.count("password") == 1


async def test_new_password_asked_for_by_keyboard_interactive(bridge, connect, ssh):
    challenges = [[("Password: ", HIDDEN)], [("New password: ", HIDDEN)]]
    node = ssh.node(methods=("keyboard-interactive",), challenges=challenges)
    async with ssh.serve(node):
        failure = await refusal(connect, node.port)
    assert "wants a new password" in failure.message
    assert node.answers == [[ssh.password]]


async def test_node_that_wants_a_public_key_is_not_offered_one(bridge, connect, ssh, monkeypatch):
    monkeypatch.setattr(ssh.server, "public_key_auth_supported", lambda _: True, raising=False)
    async with ssh.serve(ssh.node(methods=())) as node:
        failure = await refusal(connect, node.port)
    assert "neither password nor keyboard-interactive" in failure.message


@pytest.mark.parametrize(
    ("reason", "code"),
    [("Too many authentication failures", "auth_failed"), ("Out of memory", "connection_lost")],
)
async def test_disconnect_in_the_middle_of_a_login(bridge, connect, ssh, monkeypatch, reason, code):
    def validate(server, username, password):
        raise asyncssh.ProtocolError(reason)

    monkeypatch.setattr(ssh.server, "validate_password", validate)
    async with ssh.serve(ssh.node()) as node:
        with pytest.raises(NodeFailed, match=reason) as caught:
            await connect(node.port)
    assert caught.value.failure.code == code


async def test_connection_cut_after_a_refusal_counts_as_refused(bridge, connect, ssh, monkeypatch):
    def refuse(server, *_):
        server.node.methods = ("keyboard-interactive",)
        return False

    def challenge(server, *_):
        raise ConnectionResetError

    monkeypatch.setattr(ssh.server, "validate_password", refuse)
    monkeypatch.setattr(ssh.server, "get_kbdint_challenge", challenge)
    async with ssh.serve(ssh.node(methods=("password",))) as node:
        await refusal(connect, node.port, password="wrong")


@pytest.mark.parametrize("given", [{"password": "pa\udcffss"}, {"username": "admin\u0000"}])
async def test_characters_that_ssh_cannot_carry(bridge, connect, given):
    failure = await refusal(connect, 22, **given)
    assert "characters" in failure.message
    assert "pa\udcff" not in repr(failure)


async def test_a_password_in_a_reason_of_the_node_is_masked(bridge, connect, ssh, monkeypatch):
    reason = f"no shell for {ssh.password}"

    def disconnect(*_):
        raise asyncssh.DisconnectError(asyncssh.DISC_BY_APPLICATION, reason)

    def expired(*_):
        raise asyncssh.PasswordChangeRequired(reason)

    def closed(*_):
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, reason)

    both = ("password", "keyboard-interactive")
    for method, at, behaviour in (
        (both[0], "validate_password", disconnect),
        (both[0], "validate_password", expired),
        (both[1], "validate_kbdint_response", disconnect),
        (both[0], "session_requested", closed),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(ssh.server, at, behaviour)
            async with ssh.serve(ssh.node(methods=(method,))) as node:
                with pytest.raises(NodeFailed) as caught:
                    await connect(node.port, mask=Secrets((ssh.password,)).mask)
        message = caught.value.failure.message
        assert f": no shell for {MASK}" in message
        assert ssh.password not in message


def is_of_ssh(one):
    return type(one).__module__.startswith("cucmd.ssh")


async def test_password_is_in_no_log_no_error_and_no_repr(
    bridge, connect, ssh, caplog, monkeypatch
):
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
    monkeypatch.setattr(ssh.server, "validate_password", lambda *_: False)
    async with ssh.serve(ssh.node()) as node:
        with pytest.raises(NodeFailed) as caught:
            await connect(node.port, policy=Policy(host_keys="off"))
        texts += traceback.format_exception(caught.value)
    assert "password" in caplog.text  # asyncssh did log
    everything = caplog.text + "".join(texts)
    assert ssh.password not in everything
    assert ssh.password.encode().hex(" ") not in everything
