"""What only shows between nodes that were looked at together."""

import pytest
from msgspec.structs import replace

from cucmd.job.health import BAD, CHECKS, GOOD, LOOK, Finding, Health, compare_nodes

PUB, SUB = "192.0.2.11", "192.0.2.12"


def node(address: str, **fields: object) -> tuple[str, Health]:
    usual = {"address": address, "product": "callmanager", "version": "15", "named": (PUB, SUB)}
    usual["findings"] = tuple(Finding(check, GOOD, "-") for check in CHECKS)
    return address, Health(**usual | fields)


def found(*nodes: tuple[str, Health | None]) -> list[tuple[str, str, str]]:
    return [(name, one.check, one.state) for name, one in compare_nodes(nodes)]


def test_agreeing_nodes() -> None:
    assert found(node(PUB, clock_ahead=-60.0), node(SUB, clock_ahead=60.0)) == []
    assert found() == []


def test_different_version() -> None:
    third = node("192.0.2.13", named=(PUB, SUB, "192.0.2.13"), version="14")
    assert found(node(PUB), node(SUB), third) == [("192.0.2.13", "version", BAD)]
    old = {"product": None}
    others = node(PUB, **old), node(SUB, **old), node("192.0.2.13", **old, version="7")
    assert found(*others[:2]) == [], "an old release names no products"
    assert found(*others) == [("192.0.2.13", "version", BAD)]
    unknown = SUB, replace(node(SUB, **old, version="7")[1], address=None)
    assert ("version", BAD) not in [one[1:] for one in found(node(PUB), unknown)]
    presence = node(SUB, product="cups", version="15.0.1.2")
    assert found(node(PUB), presence) == []


def test_other_clusters_are_not_compared() -> None:
    other = node("198.51.100.1", named=("198.51.100.1",), version="12", clock_ahead=900.0)
    assert found(node(PUB, clock_ahead=0.0), node(SUB), other) == []


def test_clocks_apart() -> None:
    apart = {"clock_ahead": -70.0}, {"clock_ahead": 51.0}
    assert found(node(PUB, **apart[0]), node(SUB, **apart[1])) == [(SUB, "clock", BAD)]
    within = {"clock_within": 200}
    assert found(node(PUB, **apart[0], **within), node(SUB, **apart[1], **within)) == []


def test_clocks_an_hour_apart() -> None:
    """Mexico has no daylight saving since 2022, and older releases have."""
    apart = node(PUB, clock_ahead=3601.0), node(SUB, clock_ahead=0.0)
    assert found(*apart) == [(PUB, "clock", LOOK)]


def test_node_not_asked() -> None:
    assert found(node(PUB)) == [(PUB, "cluster", LOOK)]
    assert found(node(PUB), (SUB, None)) == [], "it was asked, and has failed"
    assert found(node(PUB), (f"{SUB}:22", None)) == []
    assert found(node(PUB), ("sub.example.org", None)) == [], "it may be that one"
    assert found(node(PUB), ("sub.example.org", Health(version="15"))) == [], "it has failed early"
    assert found(node(PUB), ("10.0.0.12", None)) == [], "it may be that one, behind NAT"
    assert found(node(PUB), (SUB, Health(version="15"))) == []


@pytest.mark.parametrize("name", ["2001:db8::12", "2001::12", "[2001:db8::12]:2022"])
def test_node_asked_by_ipv6_address(name: str) -> None:
    address = "2001::12" if name == "2001::12" else "2001:db8::12"
    assert found(node(PUB, named=(PUB, address)), (name, None)) == []
    assert found(node(PUB, named=(PUB, address, SUB)), (name, None)) == [(PUB, "cluster", LOOK)]


def test_only_requested_checks_are_compared() -> None:
    only = {"findings": (Finding("ntp", GOOD, "-"),)}
    assert found(node(PUB, **only, clock_ahead=900.0)) == []
    others = {"version": "14", "clock_ahead": 0.0}
    assert found(node(PUB, **only, clock_ahead=900.0), node(SUB, **only, **others)) == []
