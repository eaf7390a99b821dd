"""Which jobs are deleted: by the limits of the configuration, or by a request to prune."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cucmd.cases.retention import KEEP, Prune, jobs_beyond_limits, jobs_to_prune
from cucmd.store import ClosedJob

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
DAY = 86400.0
ELAPSED = 500 * DAY
Limits = dict[str, int]


def job(number: int, days: float = 0, size: int = 10, **labels: str) -> ClosedJob:
    return ClosedJob(str(number), NOW - timedelta(days=days), size, labels, ELAPSED - days * DAY)


def nobody(job_id: str) -> bool:
    return False


def ids(jobs: list[ClosedJob]) -> list[str]:
    return [one.job_id for one in jobs]


# Newest first, as the store has them; the clock may have been set back in between.
JOBS = st.lists(
    st.tuples(
        st.floats(0, 100),
        st.integers(0, 1000),
        st.dictionaries(st.sampled_from([KEEP, "case", "site"]), st.sampled_from(["1", "2"])),
    )
).map(
    lambda rows: [
        ClosedJob(str(number), NOW - timedelta(days=days), size, labels, ELAPSED - days * DAY)
        for number, (days, size, labels) in enumerate(rows)
    ]
)
LIMITS = st.fixed_dictionaries(
    {"days": st.integers(0, 60), "most": st.integers(0, 10), "most_bytes": st.integers(0, 5000)}
)
RULES = st.builds(
    Prune,
    st.none() | st.timedeltas(timedelta(0), timedelta(days=100)),
    st.none() | st.integers(0, 10),
    st.none() | st.integers(0, 1000),
    st.dictionaries(st.sampled_from(["case", "site", KEEP]), st.sampled_from(["1", "2"])),
)
HELD = st.sets(st.integers(0, 20).map(str))


@given(JOBS, LIMITS, RULES, HELD)
def test_kept_and_held_jobs_stay(jobs, limits, rule, held):
    for found in (
        jobs_beyond_limits(jobs, NOW, ELAPSED, held.__contains__, **limits),
        jobs_to_prune(rule, jobs, NOW, held.__contains__),
    ):
        assert all(KEEP not in one.labels for one in found)
        assert not held & set(ids(found))
        assert [one for one in jobs if one in found] == found


@given(JOBS, LIMITS)
def test_the_rest_is_within_limits(jobs, limits):
    gone = jobs_beyond_limits(jobs, NOW, ELAPSED, nobody, **limits)
    left = [one for one in jobs if one not in gone and KEEP not in one.labels]
    if limits["most"]:
        assert len(left) <= limits["most"]
    if limits["most_bytes"]:
        assert sum(one.bytes for one in left[1:]) <= limits["most_bytes"]
    if limits["days"]:
        assert all(NOW - one.completed_at <= timedelta(limits["days"]) for one in left)
    # Once it was applied there is nothing to be done.
    assert (
        jobs_beyond_limits([one for one in jobs if one not in gone], NOW, ELAPSED, nobody, **limits)
        == []
    )


@given(JOBS, LIMITS)
def test_only_jobs_beyond_limits_go(jobs, limits):
    deletable = [one for one in jobs if KEEP not in one.labels]
    for one in jobs_beyond_limits(jobs, NOW, ELAPSED, nobody, **limits):
        newer = deletable[: deletable.index(one)]
        days, most, most_bytes = limits["days"], limits["most"], limits["most_bytes"]
        old = days and NOW - one.completed_at > timedelta(days)
        many = most and len(newer) >= most
        large = most_bytes and newer and sum(x.bytes for x in (*newer, one)) > most_bytes
        assert old or many or (large and one.bytes)


def test_no_limit_deletes_nothing():
    assert jobs_beyond_limits([job(1, days=9999, size=10**15)], NOW, ELAPSED, nobody) == []


def test_the_newest_job_stays():
    jobs = [job(3, size=500), job(2, size=0), job(1, size=1)]
    assert ids(jobs_beyond_limits(jobs, NOW, ELAPSED, nobody, most_bytes=100)) == ["1"]


def test_kept_jobs_do_not_count():
    jobs = [job(3, keep="yes", size=999), job(2), job(1)]
    assert ids(jobs_beyond_limits(jobs, NOW, ELAPSED, nobody, most=1)) == ["1"]
    assert ids(jobs_beyond_limits(jobs, NOW, ELAPSED, nobody, most_bytes=20)) == []


def test_each_kind_is_counted_by_itself():
    """Checks that a timer starts push no collection out."""
    check, older_check = (replace(job(number), kind="check") for number in (3, 2))
    jobs = [check, older_check, job(1)]
    assert ids(jobs_beyond_limits(jobs, NOW, ELAPSED, nobody, most=1)) == ["2"]
    assert ids(jobs_to_prune(Prune(keep=1), jobs, NOW, nobody)) == ["2"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Prune(older_than=timedelta(days=30)), ["2", "1"]),
        (Prune(keep=1), ["4", "2", "1"]),
        (Prune(keep=0, larger_than=50), ["4", "1"]),
        (Prune(larger_than=60), ["1"]),
        (Prune(labels={"case": "1"}), ["5", "2"]),
        (Prune(labels={"case": "1"}, keep=1), ["2"]),
        (Prune(older_than=timedelta(days=30), labels={"case": "2"}), ["1"]),
        (Prune(labels={KEEP: "yes"}), []),
    ],
)
def test_pruning_needs_all_conditions(rule, expected):
    jobs = [
        job(5, case="1"),
        job(4, days=1, size=60),
        job(3, days=2, keep="yes"),
        job(2, days=40, case="1"),
        job(1, days=50, size=70, case="2"),
    ]
    assert ids(jobs_to_prune(rule, jobs, NOW, nobody)) == expected


@pytest.mark.parametrize(
    ("wall", "counted", "gone"),
    [
        (40, 40, True),
        (40, 1, False),  # the clock was set forward since, or back when the job ended
        (-300, 40, False),  # the job ended while the clock was ahead
        (40, -1e300, False),  # its row is damaged
    ],
)
def test_age_is_by_both_clocks(wall, counted, gone):
    one = ClosedJob("1", NOW - timedelta(days=wall), 10, {}, ELAPSED - counted * DAY)
    assert ids(jobs_beyond_limits([one], NOW, ELAPSED, nobody, days=30)) == (["1"] if gone else [])
