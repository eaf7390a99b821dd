"""A request is completed from the configuration and checked."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from cucmd.config import Config, InvalidValue, Profile
from cucmd.config.model import HealthSettings
from cucmd.job import timeouts as in_force
from cucmd.job.collect import Collect
from cucmd.job.health import HealthCheck, Thresholds
from cucmd.job.work_request import Collection, Files, Timeouts
from cucmd.plan.resolve import resolve_collection, resolve_concurrency, resolve_timeouts

CONFIG = Config(
    profiles={
        "installs": Profile(
            "installs", "", ("*",), "install", match="log", recurs=True, compress=True, last="2h"
        )
    }
)


NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def resolved(**request):
    return resolve_collection(Files(Collection(**request)), CONFIG, NOW)


TROUBLE = Config(
    profiles={
        "calls": Profile("calls", "", ("cm/trace/ccm/sdl", "cm/trace/cti/sdl", "syslog/Cisco*")),
        "installs": CONFIG.profiles["installs"],
    }
)


def chosen(*, only=None, added=None, config=TROUBLE, **request):
    return resolve_collection(Files(Collection(**request), only, added), config, NOW)


@pytest.mark.parametrize(
    ("only", "paths"),
    [
        (("sdl",), ("cm/trace/ccm/sdl", "cm/trace/cti/sdl")),
        (("cti/sdl",), ("cm/trace/cti/sdl",)),
        (("/CM/trace/ccm/SDL/",), ("cm/trace/ccm/sdl",)),
        (("syslog", "ccm"), ("cm/trace/ccm/sdl", "syslog/Cisco*")),
        (("cisco", "cisco*"), ("syslog/Cisco*",)),
    ],
)
def test_only_selects_paths(only, paths):
    assert chosen(profile="calls", only=only).paths == paths


def test_requested_paths_are_not_unverified():
    profile = Profile("calls", "", ("a", "b"), unverified=("b",))
    config = Config(profiles={"calls": profile})
    assert chosen(profile="calls", config=config).unverified == ("b",)
    assert chosen(profile="calls", only=["a"], config=config).unverified == ()
    assert chosen(profile="calls", paths=["b"], config=config).unverified == ()


def test_added_paths():
    added = chosen(profile="calls", only=("syslog",), added=("core", "/syslog/Cisco*"))
    assert added.paths == ("syslog/Cisco*", "core")
    assert added.profile == "calls"
    assert chosen(paths=("a",), added=("b",)).paths == ("a", "b")
    both = chosen(profile="calls", paths=("a",))
    assert (both.paths, both.profile) == (("a",), "calls"), "the paths win, as they always did"


@pytest.mark.parametrize(
    ("request_", "where"),
    [
        ({"paths": ("activelog/cm/trace",)}, ("activelog", ("cm/trace",))),
        ({"paths": ("install  *", "install/a")}, ("install", ("*", "a"))),
        ({"paths": ("a", "tftp/b"), "location": "tftp"}, ("tftp", ("a", "b"))),
        ({"profile": "installs", "only": ("*",), "added": ("install/a",)}, ("install", ("*", "a"))),
        ({"profile": "installs", "paths": ("activelog/a",)}, ("activelog", ("a",))),
        ({"paths": ("/install/a", "installs/b")}, ("activelog", ("/install/a", "installs/b"))),
        ({"paths": ("/var/log/active/cm/a", "b")}, ("activelog", ("cm/a", "b"))),
    ],
)
def test_location_in_path(request_, where):
    found = chosen(**request_)
    assert (found.location, found.paths) == where


@pytest.mark.parametrize(
    ("request_", "parameter"),
    [
        ({"paths": ("install/a", "b")}, "collection.paths[1]"),
        ({"paths": ("install/a",), "location": "tftp"}, "collection.paths[0]"),
        ({"profile": "calls", "added": ("core", "install *")}, "added_paths[1]"),
        ({"paths": ("activelog ",)}, "collection.paths[0]"),
        ({"paths": ("/var/log/active/../x",)}, "collection.paths[0]"),
        ({"paths": ("activelog a\nfile delete",)}, "collection.paths[0]"),
        ({"profile": "calls", "added": ()}, "added_paths"),
        ({"profile": "calls", "added": tuple(map(str, range(98)))}, "added_paths"),
        ({"added": ("a",)}, "collection"),
        ({"profile": "calls", "only": ()}, "only"),
        ({"profile": "calls", "only": ("sdl", "sd")}, "only[1]"),
        ({"profile": "calls", "only": ("x" * 10_000,)}, "only[0]"),
        ({"paths": ("sdl",), "only": ("sdl",)}, "only"),
    ],
)
def test_wrong_paths(request_, parameter):
    with pytest.raises(InvalidValue) as caught:
        chosen(**request_)
    assert caught.value.parameter == parameter
    assert len(caught.value.reason) < 500


@pytest.mark.parametrize("asked", [None, True, False])
def test_snapshot_is_health_check(asked):
    profile = Profile("p", "", ("a",), snapshot="health")
    config = Config(profiles={"p": profile}, health=HealthSettings(stratum=7))
    files = Files(Collection(profile="p"), snapshot=asked)
    planned = resolve_collection(files, config, NOW)
    assert planned.snapshot == ()
    if asked is False:
        assert planned.commands_kept == ()
    else:
        assert planned.health == HealthCheck((), Thresholds(stratum=7))
        assert planned.commands_kept == HealthCheck().commands_kept


def test_profile_alone():
    assert resolved(profile="installs") == Collect(
        ("*",),
        "installs",
        "install",
        "log",
        recurs=True,
        compress=True,
        last="2h",
        since=NOW - timedelta(hours=2),
        until=NOW,
        written_for=("1h",),
    )


def test_request_wins_over_profile():
    assert resolved(
        profile="installs",
        paths=("core",),
        location="activelog",
        match="x",
        recurs=False,
        compress=False,
        last="30m",
    ) == Collect(
        ("core",),
        "installs",
        match="x",
        last="30m",
        since=NOW - timedelta(minutes=30),
        until=NOW,
        written_for=("1h",),
    )


def written_for(of_all=None, *, added=None, only=None, **request):
    """Returns that of each path."""
    found = resolve_collection(Files(Collection(**request), only, added, of_all), WRITTEN, NOW)
    return dict(zip(found.paths, found.written_for, strict=True))


WRITTEN = Config(
    profiles={"p": Profile("p", paths=("sdl", "syslog/m*"), written_for=("2h", "always"))}
)


def test_written_for():
    of_profile = {"sdl": "2h", "syslog/m*": "always"}
    assert written_for(profile="p") == of_profile
    assert written_for(profile="p", only=("syslog",)) == {"syslog/m*": "always"}
    assert written_for(profile="p", added=("core", "/sdl/")) == {**of_profile, "core": "1h"}
    assert written_for(paths=("syslog/m*",)) == {"syslog/m*": "1h"}
    assert written_for(profile="p", paths=("sdl",)) == {"sdl": "1h"}, "the paths win"
    assert written_for("1d", profile="p") == {"sdl": "1d", "syslog/m*": "1d"}


def test_window_of_request_replaces_profile():
    since = resolved(profile="installs", since="2026-03-01T08:00:00Z")
    assert (since.last, since.until) == (None, None)
    until = resolved(profile="installs", until="2026-03-01T08:00:00Z")
    assert (until.last, until.since) == (None, None)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-01T08:00:00Z", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-03-01t08:00:00z", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-03-01 08:00:00+05:30", datetime(2026, 3, 1, 2, 30, tzinfo=UTC)),
        ("2026-03-01T08:00:00.25-01:00", datetime(2026, 3, 1, 9, 0, 0, 250000, tzinfo=UTC)),
        ("2026-03-01T08:00:00.123456789Z", datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_times_become_utc(text, utc):
    since = resolved(paths=("a",), since=text).since
    assert since == utc
    assert since.tzinfo is UTC


def test_equal_paths_are_collected_once():
    ways = ("/cm/trace", "a", "cm/trace", "cm/trace/", "cm//trace", "/a")
    assert resolved(paths=ways).paths == ("/cm/trace", "a")
    config = Config(profiles={"p": Profile("p", "", ("a", "/a", "b*", "b"))})
    assert resolve_collection(Files(Collection(profile="p")), config, NOW).paths == ("a", "b*", "b")


# The reasons are those of `config.rules` and `vos`, which have tests of their own.
@pytest.mark.parametrize(
    ("request_", "parameter", "shown"),
    [
        ({"paths": ("a", "")}, "collection.paths[1]", "''"),
        ({"paths": ("a\nfile delete",)}, "collection.paths[0]", r"'a\nfile delete'"),
        ({"paths": ("x" * 10_000,)}, "collection.paths[0]", "'xxx"),
        ({"paths": ("a",), "location": "activlog"}, "collection.location", "'activlog'"),
        ({"paths": ("a",), "match": "a b"}, "collection.match", "'a b'"),
        ({"paths": ("a",), "last": "2 h"}, "collection.last", "'2 h'"),
    ],
)
def test_value_that_breaks_a_rule(request_, parameter, shown):
    with pytest.raises(InvalidValue) as caught:
        resolved(**request_)
    assert caught.value.parameter == parameter
    assert caught.value.reason.startswith(shown)
    assert caught.value.reason.isprintable()
    assert len(caught.value.reason) < 500


@pytest.mark.parametrize(
    ("request_", "parameter", "reason"),
    [
        ({}, "collection", "no profile and no paths"),
        ({"paths": ()}, "collection.paths", "has 0 paths"),
        ({"paths": ("a",) * 101}, "collection.paths", "expected 1 to 100"),
        (
            {"paths": ("a",), "last": "2h", "until": "2026-03-01T08:00:00Z"},
            "collection.last",
            "either last, or since and until",
        ),
        ({"paths": ("a",), "since": "yesterday"}, "collection.since", "with its zone"),
        ({"paths": ("a",), "since": "2026-02-30T08:00:00Z"}, "collection.since", "'2026-02-30T"),
        ({"paths": ("a",), "until": "0001-01-01T00:00:00+12:00"}, "collection.until", "expected"),
        ({"paths": ("a",), "until": "2000-12-31T00:00:00Z"}, "collection.until", "2001 to 2099"),
        (
            {
                "paths": ("a",),
                "since": "2026-03-01T08:00:00Z",
                "until": "2026-03-01T09:00:00+01:00",
            },
            "collection.until",
            "not later than since",
        ),
    ],
)
def test_invalid_request(request_, parameter, reason):
    with pytest.raises(InvalidValue) as caught:
        resolved(**request_)
    assert caught.value.parameter == parameter
    assert reason in caught.value.reason
    assert caught.value.reason.isprintable()


def test_window_in_the_future():
    request = Collection(paths=("a",), since="2026-03-01T08:00:00Z")
    resolve_collection(Files(request), CONFIG, datetime(2026, 3, 1, 8, tzinfo=UTC))
    with pytest.raises(InvalidValue, match="in the future"):
        resolve_collection(Files(request), CONFIG, datetime(2026, 3, 1, 7, 59, tzinfo=UTC))


# Timeouts


def test_timeouts_of_request_win():
    base = in_force.Timeouts(stall=50.0)
    assert resolve_timeouts(None, base) is base
    assert resolve_timeouts(Timeouts(), base) == base
    assert resolve_timeouts(Timeouts(connect=5.0), base) == in_force.Timeouts(
        connect=5.0, stall=50.0
    )


@pytest.mark.parametrize(
    ("request_", "parameter", "values"),
    [
        ({"stall": 0.0}, "timeouts.stall", ["0"]),
        ({"command": -1.0}, "timeouts.command", ["-1"]),
        ({"job": float("nan")}, "timeouts.job", ["nan"]),
        ({"command": 29.0}, "timeouts.command", ["29", "30"]),
        ({"connect": 601.0}, "timeouts.command", ["600", "601"]),
        ({"connect": 9.0, "command": 8.0}, "timeouts.command", ["8", "9"]),
    ],
)
def test_wrong_timeouts_name_field(request_, parameter, values):
    with pytest.raises(InvalidValue) as caught:
        resolve_timeouts(Timeouts(**request_), in_force.Timeouts())
    assert caught.value.parameter == parameter
    assert re.findall(r"-?\d+|nan", caught.value.reason) == values


def test_concurrency():
    assert resolve_concurrency(None, 8) == 8
    assert resolve_concurrency(1, 8) == 1
    for wrong in (0, -1, 1001):
        with pytest.raises(InvalidValue, match=f"{wrong}: expected") as caught:
            resolve_concurrency(wrong, 8)
        assert caught.value.parameter == "concurrency"
