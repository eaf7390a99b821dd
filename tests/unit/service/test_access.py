"""Which right a method needs, and who has it."""

import pytest

from cucmd.api.interface import jobs_interface
from cucmd.service.access import RIGHTS, Access, Right
from cucmd.varlink import Caller, Method, PermissionDenied

OPERATOR, VIEWER, STRANGER = 1001, 1002, 1003
OURS = 500


class Methods:
    def __getattr__(self, name: str) -> None:
        return None


METHODS = jobs_interface(*(Methods() for _ in range(4))).methods


def caller(gid: int, uid: int = 2000) -> Caller:
    return Caller(uid, gid, frozenset(), 1)


def may(who: Caller, method: Method | None, *, view_reads_files: bool = False) -> bool:
    access = Access(OURS, OPERATOR, VIEWER, view_reads_files)
    try:
        access.authorize(who, method)
    except PermissionDenied:
        return False
    return True


def test_every_method_has_a_role_and_every_role_a_method() -> None:
    service = {"GetInfo", "GetInterfaceDescription"}
    assert {method.name for method in METHODS} | service == set(RIGHTS)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_is_for_those_of_its_role(method: Method) -> None:
    right = RIGHTS[method.name]
    for who in (caller(OPERATOR), caller(STRANGER, uid=0), caller(STRANGER, uid=OURS)):
        assert may(who, method)
    assert may(caller(VIEWER), method) == (right is Right.VIEW)
    assert may(caller(VIEWER), method, view_reads_files=True) == (right is not Right.OPERATE)
    assert not may(caller(STRANGER), method, view_reads_files=True)


def test_a_method_that_changes_something_is_for_operators() -> None:
    for method in METHODS:
        if method.effect:
            assert RIGHTS[method.name] is Right.OPERATE, method.name


def test_a_name_that_is_no_method_is_looked_at_for_viewers_only() -> None:
    assert may(caller(VIEWER), None)
    assert not may(caller(STRANGER), None)
