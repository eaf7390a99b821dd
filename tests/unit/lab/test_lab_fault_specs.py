"""A fault as it is written on the command line, and when it happens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.lab.faults import (
    RULES,
    Fault,
    FaultPlan,
    FaultSpecError,
    Kind,
    Step,
    help_lines,
    parse_fault,
)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("hang:command", Fault(Kind.HANG, Step.COMMAND)),
        ("2=drop:transfer", Fault(Kind.DROP, Step.TRANSFER, node=2)),
        ("refuse-login*2", Fault(Kind.REFUSE_LOGIN, times=2)),
        ("trickle@2000", Fault(Kind.TRICKLE, number=2000)),
        ("silent-return", Fault(Kind.SILENT_RETURN, Step.DIRECTORY)),
        ("announce-more", Fault(Kind.ANNOUNCE_MORE, number=1)),
        ("7=garbage:banner@0*3", Fault(Kind.GARBAGE, Step.BANNER, 0, node=7, times=3)),
    ],
)
def test_a_spec_and_what_it_means(spec, fault):
    assert parse_fault(spec) == fault


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", "[NODE=]KIND[:STEP]"),
        ("explode", "a kind: refuse-tcp, "),
        ("hang", "hang:STEP with STEP one of accept, login"),
        ("hang:lunch", "a step of hang: "),
        ("reask:transfer", "a step of reask: proceed, address"),
        ("omit:user", "a step of omit: proceed, directory"),
        ("no-files:command", "no-files without a step"),
        ("no-files@3", "no-files without a number"),
        ("trickle", "trickle@BYTES_PER_S"),
        ("trickle@0", "greater than 0"),
        ("clock-back@1000000001", "a number of S up to 1000000000"),
        ("announce-more@10001", "a number of N up to 10000"),
        ("big-file@1000000000000001", "a number of BYTES up to 1000000000000000"),
        ("0=no-files", "a node's number from 1"),
        ("no-files*0", "*TIMES from 1"),
        ("refuse-tcp*2", "without *TIMES"),
    ],
)
def test_a_wrong_spec_says_what_was_expected(spec, expected):
    with pytest.raises(FaultSpecError) as caught:
        parse_fault(spec)
    assert repr(spec) in str(caught.value)
    assert expected in str(caught.value)


@given(st.text(max_size=40) | st.from_regex(r"[0-9=a-z:@*.-]{0,30}", fullmatch=True))
def test_any_text_is_a_fault_or_a_spec_error(text):
    try:
        fault = parse_fault(text)
    except FaultSpecError:
        return
    assert fault.kind in text


@given(st.sampled_from(Kind), st.data())
def test_every_kind_can_be_written_with_each_of_its_steps(kind, data):
    rule = RULES[kind]
    step = data.draw(st.sampled_from(sorted(rule.steps))) if rule.steps else None
    spec = f"{kind}:{step}" if step else str(kind)
    spec += "@5" if rule.unit else ""
    assert parse_fault(spec) == Fault(kind, step, 5 if rule.unit else 0)


def test_a_fault_happens_on_its_node_only():
    faults = [parse_fault("2=no-files")]
    assert FaultPlan(faults, 1).take(Kind.NO_FILES) is None
    assert FaultPlan(faults, 2).take(Kind.NO_FILES) is not None


def test_a_fault_happens_at_its_step_only():
    plan = FaultPlan([parse_fault("hang:sizing")], 1)
    assert plan.take(Kind.HANG, Step.COMMAND) is None
    assert plan.take(Kind.HANG, Step.SIZING) is not None


def test_times_are_used_up():
    struck = []
    plan = FaultPlan([parse_fault("no-files*2")], 1, lambda: struck.append(1))
    assert [plan.take(Kind.NO_FILES) is not None for _ in range(4)] == [True, True, False, False]
    assert len(struck) == 2


def test_every_kind_and_step_has_its_line_of_help():
    lines = help_lines()
    assert len(lines) == len(Kind) + len(Step) + 3
    assert max(map(len, lines)) <= 80
