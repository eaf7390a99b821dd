"""When the password is sent, how often, and to which prompts."""

from types import SimpleNamespace
from typing import Any

import asyncssh
import pytest

from cucmd.failure import NodeFailed
from cucmd.job.node import Phase
from cucmd.ssh.known_hosts import KnownHosts, Policy
from cucmd.ssh.node_login import NodeLogin, Steps

SECRET = "correct horse battery"
HIDDEN, SHOWN = False, True


@pytest.fixture
def phases() -> list[Phase]:
    return []


@pytest.fixture
def known(tmp_path) -> KnownHosts:
    return KnownHosts(tmp_path / "known_hosts")


@pytest.fixture
def login(known, phases) -> NodeLogin:
    address, credentials = ("node.example", 22), ("administrator", SECRET)
    return NodeLogin(address, credentials, Policy(), known, Steps(phases.append), str)


def show(login: NodeLogin, key: Any) -> bool:
    shown = asyncssh.import_public_key(str(key))
    return login.validate_host_public_key("node.example", "10.0.0.1", 22, shown)


def test_key_is_saved_when_authentication_begins(login, known, phases, make_key):
    assert show(login, make_key(1))
    assert (known.entries(), phases) == ((), [])
    login.begin_auth("administrator")
    assert len(known.entries()) == 1
    assert phases == [Phase.LOGIN]
    assert login.progress().authenticating


def offer(login: NodeLogin, *methods: str) -> None:
    """Sets the methods with which the server can continue."""
    login.connection = SimpleNamespace(
        get_server_auth_methods=lambda: list(methods),
        get_extra_info={}.get,
        get_hash_prefix=lambda: b"",
    )


def test_refused_password_is_not_sent_again(login):
    offer(login, "keyboard-interactive", "password")
    assert login.kbdint_auth_requested() == ""
    assert login.kbdint_challenge_received("", "", "", [("Password: ", HIDDEN)]) == [SECRET]
    assert not login.progress().refused
    assert login.kbdint_auth_requested() is None
    offer(login, "password")  # asyncssh has given the other one up
    assert login.password_auth_requested() is None
    assert login.progress().refused
    assert login.progress().tried == ("keyboard-interactive",)


@pytest.mark.parametrize("left", ["keyboard-interactive", "password"])
def test_unused_method_leaves_the_other(login, left):
    offer(login, "keyboard-interactive")
    login.kbdint_auth_requested()
    login.kbdint_challenge_received("", "", "", [("Password: ", HIDDEN)])
    offer(login, "password")
    assert login.password_auth_requested() == SECRET
    offer(login, left)
    assert login.kbdint_auth_requested() is None
    assert login.password_auth_requested() is None
    assert login.progress().tried == ("keyboard-interactive", "password")


@pytest.mark.parametrize(
    ("instructions", "prompt"),
    [
        ("", "Sorry, try again. Password: "),
        ("", "Sorry, try again.\nPassword for admin: "),
        ("Sorry, try again.", "Password (2): "),
        ("Permission denied, please try again.", "admin's password: "),
        ("", "Login incorrect\nCurrent password: "),
        ("", "Password: "),  # the same question again
    ],
)
def test_words_of_refusal_are_recognized(login, instructions, prompt):
    offer(login, "keyboard-interactive", "password")
    login.kbdint_auth_requested()
    assert login.kbdint_challenge_received("", "", "", [("Password: ", HIDDEN)]) == [SECRET]
    asked = login.kbdint_challenge_received("", instructions, "", [(prompt, HIDDEN)])
    assert asked is None
    assert login.end_reason is None, "and not that a new password is wanted"
    assert login.progress().refused
    assert login.progress().asked == ""
    offer(login, "password")
    assert login.password_auth_requested() is None


@pytest.mark.parametrize("prompt", ["Verification code: ", "Passcode or PIN: "])
def test_second_factor_gets_no_password(login, prompt):
    assert login.kbdint_challenge_received("", "", "", [(prompt, HIDDEN)]) is None
    assert login.progress().asked == prompt.strip()


def test_message_after_password_is_harmless(login):
    offer(login, "keyboard-interactive")
    login.kbdint_auth_requested()
    login.kbdint_challenge_received("", "", "", [("Password: ", HIDDEN)])
    assert login.kbdint_challenge_received("", "Denied since the last login: 3", "", []) == []
    assert not login.progress().refused


@pytest.mark.parametrize("prompt", ["New password: ", "Retype: ", "Re-enter password: "])
def test_new_password_request_ends_login(login, prompt):
    with pytest.raises(NodeFailed, match="wants a new password"):
        login.kbdint_challenge_received("", "", "", [(prompt, HIDDEN)])
    assert isinstance(login.end_reason, NodeFailed)


def test_too_many_prompts_get_no_answer(login):
    prompts = [(f"{number}: ", HIDDEN) for number in range(11)]
    assert login.kbdint_challenge_received("", "", "", prompts) is None


def test_password_step_is_called_once(known):
    said = []
    steps = Steps(
        said.append,
        password=lambda: said.append("password"),
        authenticated=lambda: said.append("in"),
    )
    login = NodeLogin(("node.example", 22), ("a", SECRET), Policy(), known, steps, str)
    offer(login, "keyboard-interactive")
    login.kbdint_auth_requested()
    login.kbdint_challenge_received("", "", "", [])
    assert said == [], "a message was acknowledged"
    login.kbdint_challenge_received("", "", "", [("Password: ", HIDDEN)])
    offer(login, "password")
    assert login.password_auth_requested() == SECRET
    login.auth_completed()
    assert said == ["password", "in"]


def test_password_step_can_forbid_sending(known):
    def refuse():
        raise RuntimeError("not now")

    for ask in (
        lambda login: login.password_auth_requested(),
        lambda login: login.kbdint_challenge_received("", "", "", [("Password: ", HIDDEN)]),
    ):
        steps = Steps(lambda _: None, password=refuse)
        login = NodeLogin(("node.example", 22), ("a", SECRET), Policy(), known, steps, str)
        with pytest.raises(RuntimeError, match="not now"):
            ask(login)
        assert isinstance(login.end_reason, RuntimeError), "it ends the connection"


def test_forget_removes_the_password(login):
    login.forget()
    assert login.password_auth_requested() is None
    assert SECRET not in repr(vars(login))
