"""Tests how faults are written on the command line, and when they happen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmlab.faults import Fault, FaultKind, FaultPlan, FaultSpecError, Step, parse_fault


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", "[NODE=]KIND[:STEP]"),
        ("explode", "a kind: refuse-tcp, "),
        ("hang", "hang:STEP with STEP one of accept, login"),
        ("no-files:command", "no-files without a step"),
        ("no-files@3", "no-files without a number"),
        ("trickle", "trickle@BYTES_PER_S"),
        ("clock-back@1000000001", "a number of S up to 1000000000"),
        ("0=no-files", "a node's number from 1"),
        ("refuse-tcp*2", "without *TIMES"),
    ],
)
def test_wrong_spec_says_expected_form(spec, expected):
    with pytest.raises(FaultSpecError) as caught:
        parse_fault(spec)
    assert repr(spec) in str(caught.value)
    assert expected in str(caught.value)


@given(st.text(max_size=40) | st.from_regex(r"[0-9=a-z:@*.-]{0,30}", fullmatch=True))
def test_any_text_is_parsed_or_refused(text):
    try:
        fault = parse_fault(text)
    except FaultSpecError:
        return
    assert fault.kind in text


@given(st.sampled_from(FaultKind), st.data())
def test_every_kind_and_step_parses(kind, data):
    rule = kind.rule
    step = data.draw(st.sampled_from(sorted(rule.steps))) if rule.steps else None
    spec = f"{kind}:{step}" if step else str(kind)
    spec += "@5" if rule.unit else ""
    assert parse_fault(spec) == Fault(kind, step, 5 if rule.unit else 0)


def test_fault_happens_as_often_as_written():
    used = []
    faults = [parse_fault("2=hang:sizing*2")]
    plan = FaultPlan(faults, 2, lambda: used.append(1))
    assert FaultPlan(faults, 1).take(FaultKind.HANG, Step.SIZING) is None
    assert plan.take(FaultKind.HANG, Step.COMMAND) is None
    taken = [plan.take(FaultKind.HANG, Step.SIZING) is not None for _ in range(4)]
    assert taken == [True, True, False, False]
    assert len(used) == 2
