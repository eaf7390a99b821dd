"""Who we are on a node: the password goes out late, seldom, and only to a prompt that hides it."""

from types import SimpleNamespace
from typing import Any

import pytest

from cucmd.failure import NodeFailed
from cucmd.job import Phase
from cucmd.ssh import login as room
from cucmd.ssh.known_hosts import KnownHosts, Policy
from cucmd.ssh.login import Login

SECRET = "correct horse battery"
HIDDEN, SHOWN = False, True


@pytest.fixture
def phases() -> list[Phase]:
    return []


@pytest.fixture
def known(tmp_path) -> KnownHosts:
    return KnownHosts(tmp_path / "known_hosts")


@pytest.fixture
def login(known, phases, monkeypatch) -> Login:
    # asyncssh's keys are stood in for by ours.
    monkeypatch.setattr(room, "public_key", lambda key: key)
    address, credentials = ("node.example", 22), ("administrator", SECRET)
    return Login(address, credentials, Policy(), known, phases.append, str)


def show(login: Login, key: Any) -> bool:
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
    assert isinstance(login.verdict, NodeFailed)
    assert login.verdict.failure.code == "host_key_changed"


def test_a_key_that_another_connection_learned_meanwhile_ends_it_too(
    login, known, phases, make_key
):
    assert show(login, make_key(2))
    known.add("node.example", str(make_key(1)))
    with pytest.raises(NodeFailed):
        login.begin_auth("administrator")
    assert isinstance(login.verdict, NodeFailed)
    assert phases == []


def test_the_password_is_given_once_a_method(login):
    assert login.password_auth_requested() == SECRET
    assert not login.progress().refused
    assert login.password_auth_requested() is None
    assert login.progress().refused
    assert login.kbdint_auth_requested() == ""
    assert login.kbdint_challenge_received("", "", "", [("Password: ", HIDDEN)]) == [SECRET]
    assert login.kbdint_auth_requested() is None
    assert login.progress().tried == ("password", "keyboard-interactive")


def test_a_prompt_that_shows_its_answer_gets_the_name(login):
    prompts = [("login: ", SHOWN), ("Password: ", HIDDEN)]
    assert login.kbdint_challenge_received("", "", "", prompts) == ["administrator", SECRET]


@pytest.mark.parametrize("prompt", ["New password: ", "Retype: ", "Re-enter password: "])
def test_a_new_password_is_not_for_us_to_set(login, prompt):
    with pytest.raises(NodeFailed, match="wants a new password"):
        login.kbdint_challenge_received("", "", "", [(prompt, HIDDEN)])
    assert isinstance(login.verdict, NodeFailed)


def test_a_flood_of_prompts_gets_nothing(login):
    prompts = [(f"{number}: ", HIDDEN) for number in range(11)]
    assert login.kbdint_challenge_received("", "", "", prompts) is None


def test_what_is_forgotten_is_gone(login):
    login.forget()
    assert login.password_auth_requested() is None
    assert SECRET not in repr(vars(login))


def test_it_shows_its_password_nowhere(login):
    assert SECRET not in repr(login)
    assert SECRET not in str(login.progress())


def test_progress_is_read_from_the_connection(login):
    assert login.progress().hash_prefix == b""
    assert not login.progress().greeted
    login.connection_made(
        SimpleNamespace(
            get_extra_info={"server_version": "SSH-2.0-x"}.get, get_hash_prefix=lambda: b"both"
        )
    )
    assert login.progress().greeted
    assert login.progress().hash_prefix == b"both"
