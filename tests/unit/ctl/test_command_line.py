"""The command line: values of options, global options, help and suggestions."""

import argparse
import shlex
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmctl import Client
from cucmctl.cli import options, typed_times
from cucmctl.cli.options import near
from cucmctl.client.errors import UnknownTarget
from cucmctl.commands.lookup import check_exist, hint
from cucmctl.commands.run import COMMANDS, head_of
from cucmctl.main import VERBS, main, split
from cucmd.job.run import FORMS
from cucmd.vos import forms


@pytest.mark.parametrize(
    ("arguments", "verb", "rest"),
    [
        ("status", "status", ""),
        ("--json status 3f2a", "status", "--json 3f2a"),
        ("--socket /x --json list", "list", "--socket /x --json"),
        ("list --socket /x", "list", "--socket /x"),
        ("--help", None, "--help"),
        ("--socket", None, "--socket"),
        ("", None, ""),
    ],
)
def test_global_options_precede_the_verb(arguments, verb, rest):
    assert split(arguments.split()) == (verb, rest.split())


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "nan", "1_0", " 7 ", "٣", "", "9" * 10])
def test_bad_counts(text):
    with pytest.raises(argparse.ArgumentTypeError):
        options.count(text)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1h", "", "31536001"])
def test_bad_seconds(text):
    with pytest.raises(argparse.ArgumentTypeError):
        options.seconds(text)


@pytest.mark.parametrize(
    "text",
    [
        "ccm-sub1:2222",
        "192.0.2.7",
        "192.0.2.7:22",
        "2001:db8::7",
        "fe80::1%eth0",
        "[2001:db8::7]:22",
    ],
)
def test_nodes_are_no_paths(text):
    with pytest.raises(argparse.ArgumentTypeError, match="looks like a node; nodes go before --pa"):
        options.path_on_node(text)


@pytest.mark.parametrize(
    "text", ["cm/trace/ccm/sdl", "/var/log/x", "syslog", "a.b.c", "*", "10.0", "x:y", "a/b:22", ":"]
)
def test_paths(text):
    assert options.path_on_node(text) == text


@given(st.text(max_size=30))
def test_any_text_is_time_or_error(text):
    try:
        at = typed_times.moment(text)
    except argparse.ArgumentTypeError:
        return
    assert at.earliest.utcoffset() == at.latest.utcoffset() == timedelta(0)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)))
def test_times_round_trip(naive):
    at = naive.replace(tzinfo=UTC)
    assert typed_times.moment(typed_times.rfc3339(at)).earliest == at
    assert typed_times.moment(at.isoformat(" ")) == (at, at, False)


@pytest.mark.parametrize(
    ("local", "first", "second"),
    [
        ("2026-10-25 02:30", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),  # occurs twice
        ("2026-03-29 02:30", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"),  # does not occur
        ("2026-03-29 03:30", "2026-03-29T01:30:00Z", "2026-03-29T01:30:00Z"),
        ("2026-10-25T02:30+02:00", "2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z"),
    ],
)
def test_windows_where_clocks_change(in_zone, local, first, second):
    in_zone("Europe/Berlin")
    assert typed_times.rfc3339(typed_times.moment(local).earliest) == first
    assert typed_times.rfc3339(typed_times.moment(local).latest) == second


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("09:00", "2026-11-27T08:00:00Z"),
        ("09:30", "2026-11-26T08:30:00Z"),  # still to come today, so yesterday's
        ("23:59", "2026-11-26T22:59:00Z"),
        ("today 23:59", "2026-11-27T22:59:00Z"),
        ("yesterday", "2026-11-25T23:00:00Z"),
        ("yesterday 18:00", "2026-11-26T17:00:00Z"),
        ("2026-07-01", "2026-06-30T22:00:00Z"),
        ("now", "2026-11-27T08:15:00Z"),
        ("-2h", "2026-11-27T06:15:00Z"),
        ("-90min", "2026-11-27T06:45:00Z"),
        ("90min", "2026-11-27T06:45:00Z"),
    ],
)
def test_times_as_in_journalctl(in_zone, text, meant):
    in_zone("Europe/Berlin")
    now = datetime(2026, 11, 27, 8, 15, tzinfo=UTC)
    assert typed_times.rfc3339(typed_times.moment(text, now).earliest) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2h", "2026-11-27T10:15:00Z"),
        ("90m", "2026-11-27T09:45:00Z"),
        ("09:30", "2026-11-27T08:30:00Z"),
        ("09:00", "2026-11-28T08:00:00Z"),  # past today, so tomorrow's
        ("2026-11-27 12:00", "2026-11-27T11:00:00Z"),
        ("yesterday", None),
        ("-2h", None),
        ("soon", None),
    ],
)
def test_limit_of_a_start(in_zone, text, meant):
    in_zone("Europe/Berlin")
    now = datetime(2026, 11, 27, 8, 15, tzinfo=UTC)
    if meant is None:
        with pytest.raises(argparse.ArgumentTypeError):
            typed_times.not_after(text, now)
    else:
        assert typed_times.not_after(text, now) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("2026-W09-7T08:00:00", "20260301T080000Z", "0001-01-01T00:00:00+10:00", "", " ", "25:00"),
        *("yesterday  18:00", "yesterday18:00", "2026-13-01", "-2", "-2y", "tomorrow", "9:00"),
    ],
)
def test_bad_times(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a time; expected local"):
        typed_times.moment(text)


def test_defect_is_exit_70(monkeypatch, capsys):
    def stumble(*_, **__):
        raise ZeroDivisionError("\x1bby zero")

    monkeypatch.setattr(Client, "list", stumble)
    assert main(["status"]) == 70
    said = capsys.readouterr().err
    assert "ZeroDivisionError: \\x1bby zero" in said
    assert said.count("\n") == 1
    monkeypatch.setenv("CUCMCTL_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main(["status"])


def test_ctrl_c_is_exit_130(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    def interrupt_in_argparse(*_, **__):
        try:
            raise KeyboardInterrupt
        finally:
            _ = argparse.Action(["--x"], "x").save_nargs

    for one in (interrupt, interrupt_in_argparse):
        monkeypatch.setattr(Client, "list", one)
        assert main(["status"]) == 130
    assert capsys.readouterr() == ("", "")


def test_overview_fits_a_small_terminal(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert [verb for verb in VERBS if f" {verb} " not in " ".join(lines)] == ["bridge"]


def described(verb):
    return import_module(f"cucmctl.commands.{VERBS[verb]}").COMMANDS[verb]


@pytest.mark.parametrize("verb", VERBS)
def test_examples_can_be_typed(verb):
    """There are two, and the parser accepts them up to a pipe."""
    lines = described(verb).examples.replace("\\\n", "").splitlines()
    assert len(lines) == 2
    for line in lines:
        words = list(takewhile(lambda word: word not in ("|", "||"), shlex.split(line, posix=True)))
        words = [word for word in words if not word.startswith(">")]
        name, rest = split(words[1:])
        assert name == verb
        options.parse(verb, described(verb), rest)


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_80_columns(capsys, verb):
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: cucmctl {verb}")
    assert max(map(len, shown.splitlines())) <= 80


KNOWN = ["berlin", "bern", "Hamburg", "callmanager", "lab"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("berln", ["berlin", "bern"]),
        ("BERLIN", ["berlin", "bern"]),
        ("hambrug", ["Hamburg"]),
        ("calmanager", ["callmanager"]),
        ("lba", ["lab"]),
        ("la-pub", []),
        ("paris", []),
        ("", []),
    ],
)
def test_near_names(typed: str, meant: list[str]) -> None:
    assert near(typed, KNOWN) == meant


def test_hint_names_similar_or_all() -> None:
    assert "berlin or bern" in hint("berln", KNOWN)
    assert all(name in hint("paris", KNOWN) for name in KNOWN)
    assert hint("paris", []) == ""
    assert hint("paris", [f"cluster-{number}" for number in range(100)]) == ""


@pytest.mark.parametrize("name", ["fe80::1", "[fe80::1]:22", "192.0.2.1:22"])
def test_addresses_exist(name: str) -> None:
    class NoClusters:
        def clusters(self, name: str | None = None) -> tuple[()]:
            return ()

    check_exist(NoClusters(), [name])
    with pytest.raises(UnknownTarget):
        check_exist(NoClusters(), [name, "berlin.invalid"])


def test_help_lists_all_forms() -> None:
    assert tuple(form.usage for form in forms.FORMS) == FORMS
    assert all(f"  {form}\n" in f"{COMMANDS['run'].summary}\n" for form in FORMS)


def test_heads_match_the_daemon() -> None:
    assert [" ".join(head_of(form)) for form in FORMS] == [form.head for form in forms.FORMS]
