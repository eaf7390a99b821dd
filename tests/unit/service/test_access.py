"""Who may call which method, for itself and on behalf of others."""

import logging
import os
import pwd

import pytest

from cucmd.config.model import AccessSettings
from cucmd.job.request import OnBehalfOf, Request
from cucmd.protocol.requests import INTERFACE, CancelRequest
from cucmd.service.access import RIGHTS, Access, Right
from cucmd.varlink import Caller, Method, PermissionDenied, VarlinkError
from rig.interface_maker import interface

OPERATOR, VIEWER, STRANGER = 1001, 1002, 1003
OURS, SPEAKER = 500, 600
METHODS = interface().methods


def caller(gid: int, uid: int = 2000) -> Caller:
    return Caller(uid, gid, frozenset(), 1)


def may(who: Caller, method: Method | None, *, view_reads_files: bool = False) -> bool:
    access = Access(OURS, OPERATOR, VIEWER, view_reads_files)
    try:
        access.authorize(who, method)
    except PermissionDenied:
        return False
    return True


def test_every_method_has_a_right() -> None:
    service = {"GetInfo", "GetInterfaceDescription"}
    assert {method.name for method in METHODS} | service == set(RIGHTS)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_rights_of_groups(method: Method) -> None:
    right = RIGHTS[method.name]
    for who in (caller(OPERATOR), caller(STRANGER, uid=0), caller(STRANGER, uid=OURS)):
        assert may(who, method)
    assert may(caller(VIEWER), method) == (right is Right.VIEW)
    assert may(caller(VIEWER), method, view_reads_files=True) == (right is not Right.OPERATE)
    assert not may(caller(STRANGER), method, view_reads_files=True)


def test_unknown_method_is_for_viewers() -> None:
    assert may(caller(VIEWER), None)
    assert not may(caller(STRANGER), None)


def test_effects_are_for_operators() -> None:
    for method in METHODS:
        if method.effect:
            assert RIGHTS[method.name] is Right.OPERATE, method.name


# On behalf of others


ALICE = OnBehalfOf("alice", "operate")
STATUS, CANCEL = (next(m for m in METHODS if m.name == name) for name in ("Status", "Cancel"))


def acting(
    who: Caller,
    asked: OnBehalfOf | None,
    method: Method = CANCEL,
    *,
    view_reads_files: bool = False,
) -> Caller:
    """Returns the effective caller, after both steps in which the server asks."""
    access = Access(OURS, OPERATOR, VIEWER, view_reads_files, frozenset({SPEAKER}))
    access.authorize(who, method)
    return access.effective_caller(who, method, Request(on_behalf_of=asked))


def may_for(who: Caller, role: str, method: Method, *, view_reads_files: bool = False) -> bool:
    try:
        acting(who, OnBehalfOf("alice", role), method, view_reads_files=view_reads_files)
    except PermissionDenied:
        return False
    return True


@pytest.mark.parametrize("view_reads_files", [False, True])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_role_adds_no_rights(method: Method, view_reads_files: bool) -> None:
    reads = {"view_reads_files": view_reads_files}
    of_group = {"operate": OPERATOR, "view": VIEWER, "none": STRANGER}
    for own, gid in of_group.items():
        for role in ("operate", "view"):
            itself = may(caller(gid), method, **reads)
            member = may(caller(of_group[role]), method, **reads)
            assert may_for(caller(gid, SPEAKER), role, method, **reads) == (itself and member), own


def test_speaker_keeps_its_own_credentials() -> None:
    who = caller(OPERATOR, SPEAKER)
    assert acting(who, ALICE) == Caller(SPEAKER, OPERATOR, frozenset(), 1, "alice")


@pytest.mark.parametrize("uid", [0, OURS, 2000])
@pytest.mark.parametrize("method", [STATUS, CANCEL], ids=lambda method: method.name)
def test_unlisted_speaker_is_refused(
    uid: int, method: Method, caplog: pytest.LogCaptureFixture
) -> None:
    who = caller(OPERATOR, uid)
    with pytest.raises(VarlinkError) as refused:
        acting(who, ALICE, method)
    assert refused.value.name == f"{INTERFACE}.InvalidRequest"
    assert refused.value.parameters.parameter == "on_behalf_of"
    (line,) = caplog.records
    assert (line.levelno, line.uid) == (logging.WARNING, uid)
    assert acting(who, None, method) == who


@pytest.mark.parametrize("name", ["", "a" * 65, "a'b", 'a"b', "a`b", "a\nb", "\x7f", "caf\u00e9"])
def test_unprintable_name_is_refused(name: str) -> None:
    with pytest.raises(VarlinkError) as refused:
        acting(caller(OPERATOR, SPEAKER), OnBehalfOf(name, "view"), STATUS)
    assert refused.value.name == f"{INTERFACE}.InvalidRequest"
    assert refused.value.parameters.parameter == "on_behalf_of.name"


def test_log_names_the_job(caplog: pytest.LogCaptureFixture) -> None:
    """As it was typed, since the call may be refused because there is no such job."""
    caplog.set_level(logging.INFO)
    who = caller(OPERATOR)
    Access(OURS, OPERATOR).effective_caller(who, CANCEL, CancelRequest("3f2a\nforged"))
    assert caplog.records[-1].getMessage() == r"Cancel of job '3f2a\nforged' by uid 2000, pid 1"


def test_call_is_logged_once_with_name(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    acting(caller(OPERATOR, SPEAKER), ALICE)
    (line,) = caplog.records
    assert line.getMessage() == f"Cancel by uid {SPEAKER}, pid 1, asked by 'alice'"
    with pytest.raises(PermissionDenied):
        acting(caller(OPERATOR, SPEAKER), OnBehalfOf("bob", "view"))
    assert "asked by 'bob'" in caplog.records[-1].getMessage()
    assert caplog.records[-1].levelno == logging.WARNING


def test_speakers_are_names_or_uids() -> None:
    own = pwd.getpwuid(os.getuid())
    listed = AccessSettings(may_speak_for=(own.pw_name, "61001", "no-such-user"))
    assert Access.from_settings(listed).speakers == {own.pw_uid, 61001}
    assert Access.from_settings(AccessSettings()).speakers == set()
