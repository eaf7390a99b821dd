"""A login: when the password is sent, how often, and to which prompts."""

from types import SimpleNamespace
from typing import Any

import pytest

from cucmd.failure import NodeFailed
from cucmd.job.node import Phase
from cucmd.ssh import node_login as login_module
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
def login(known, phases, monkeypatch) -> NodeLogin:
    # Keys of ours instead of asyncssh's.
    monkeypatch.setattr(login_module, "public_key", lambda key: key)
    address, credentials = ("node.example", 22), ("administrator", SECRET)
    return NodeLogin(address, credentials, Policy(), known, Steps(phases.append), str)


def show(login: NodeLogin, key: Any) -> bool:
    return login.validate_host_public_key("node.example", "10.0.0.1", 22, key)


def test_a_key_is_remembered_when_authentication_begins_and_not_before(
    login, known, phases, make_key
):
    assert show(login, make_key(1))
    assert (known.entries(), phases) == ((), [])
    login.begin_auth("administrator")
    assert len(known.entries()) == 1
    assert phases == [Phase.LOGIN]
    assert login.progress().authenticating


def test_a_changed_key_ends_the_login_with_host_key_changed(login, known, make_key):
    known.add("node.example", str(make_key(1)))
    assert not show(login, make_key(2))
    assert isinstance(login.end_reason, NodeFailed)
    assert login.end_reason.failure.code == "host_key_changed"


def test_another_key_remembered_by_another_connection_meanwhile_ends_the_login(
    login, known, phases, make_key
):
    assert show(login, make_key(2))
    known.add("node.example", str(make_key(1)))
    with pytest.raises(NodeFailed):
        login.begin_auth("administrator")
    assert isinstance(login.end_reason, NodeFailed)
    assert phases == []


def offer(login: NodeLogin, *methods: str) -> None:
    """Sets what the server can continue with, by its last USERAUTH_FAILURE."""
    login.connection = SimpleNamespace(
        get_server_auth_methods=lambda: list(methods),
        get_extra_info={}.get,
        get_hash_prefix=lambda: b"",
    )


def test_a_password_that_was_refused_is_not_given_by_another_method(login):
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
def test_the_password_is_given_by_another_method_if_the_first_is_not_to_be_used(login, left):
    offer(login, "keyboard-interactive")
    login.kbdint_auth_requested()
    login.kbdint_challenge_received("", "", "", [("Password: ", HIDDEN)])
    offer(login, "password")
    assert login.password_auth_requested() == SECRET
    offer(login, left)
    assert login.kbdint_auth_requested() is None
    assert login.password_auth_requested() is None
    assert login.progress().tried == ("keyboard-interactive", "password")


def test_no_other_method_is_tried_if_it_is_not_known_what_the_server_offers(login):
    assert login.password_auth_requested() == SECRET
    assert login.kbdint_auth_requested() is None


def test_a_question_again_is_a_refusal_by_every_method(login):
    offer(login, "keyboard-interactive", "password")
    login.kbdint_auth_requested()
    ask = ("", "", "", [("Password: ", HIDDEN)])
    assert login.kbdint_challenge_received(*ask) == [SECRET]
    assert login.kbdint_challenge_received(*ask) is None
    offer(login, "password")
    assert login.password_auth_requested() is None


@pytest.mark.parametrize(
    ("instructions", "prompt"),
    [
        ("", "Sorry, try again. Password: "),
        ("", "Sorry, try again.\nPassword for admin: "),
        ("Sorry, try again.", "Password (2): "),
        ("Permission denied, please try again.", "admin's password: "),
        ("", "Login incorrect\nCurrent password: "),
    ],
)
def test_words_of_a_refusal_before_another_question_are_a_refusal(login, instructions, prompt):
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


def test_words_of_a_refusal_before_any_password_was_sent_refuse_none(login):
    offer(login, "keyboard-interactive")
    login.kbdint_auth_requested()
    prompts = [("Sorry, try again. Password: ", HIDDEN)]
    assert login.kbdint_challenge_received("", "", "", prompts) == [SECRET]


def test_a_message_after_the_password_refuses_none(login):
    offer(login, "keyboard-interactive")
    login.kbdint_auth_requested()
    login.kbdint_challenge_received("", "", "", [("Password: ", HIDDEN)])
    assert login.kbdint_challenge_received("", "Denied since the last login: 3", "", []) == []
    assert not login.progress().refused


def test_a_prompt_that_echoes_gets_the_user_name(login):
    prompts = [("login: ", SHOWN), ("Password: ", HIDDEN)]
    assert login.kbdint_challenge_received("", "", "", prompts) == ["administrator", SECRET]


@pytest.mark.parametrize("prompt", ["New password: ", "Retype: ", "Re-enter password: "])
def test_a_request_for_a_new_password_ends_the_login(login, prompt):
    with pytest.raises(NodeFailed, match="wants a new password"):
        login.kbdint_challenge_received("", "", "", [(prompt, HIDDEN)])
    assert isinstance(login.end_reason, NodeFailed)


def test_too_many_prompts_get_no_answer(login):
    prompts = [(f"{number}: ", HIDDEN) for number in range(11)]
    assert login.kbdint_challenge_received("", "", "", prompts) is None


def test_it_is_said_once_that_the_password_is_sent(known):
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


def test_a_password_that_must_not_be_sent_is_not_sent(known):
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


def test_progress_is_read_from_the_connection(login):
    assert login.progress().hash_prefix == b""
    assert not login.progress().version_received
    login.connection = SimpleNamespace(
        get_extra_info={"server_version": "SSH-2.0-x"}.get, get_hash_prefix=lambda: b"both"
    )
    assert login.progress().version_received
    assert login.progress().hash_prefix == b"both"
