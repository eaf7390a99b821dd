"""How `tests/bench` compares two versions, and when it refuses one."""

import pytest

from bench.figures import (
    ALLOWED,
    Compared,
    Figure,
    Values,
    aligned,
    in_turns,
    refused,
    rows_of_one,
    rows_of_two,
)

CPU = Figure("processor time", "s", decides=True)
OTHER = Figure("of something else", "s", decides=True)
WALL = Figure("time", "ms")


def compared(base: list[float], present: list[float], figure: Figure = CPU) -> Compared:
    return Compared({figure: base}, {figure: present})


def never() -> list[Values]:
    raise AssertionError("measured again")


def test_versions_are_measured_in_turns() -> None:
    order = []

    def measure(version: str) -> dict[Figure, float]:
        order.append(version)
        return {CPU: float(len(order)), WALL: 0.0}

    found = in_turns([lambda: measure("a"), lambda: measure("b")], rounds=2)
    assert order == ["a", "b", "a", "b"]
    assert found == [{CPU: [1, 3], WALL: [0, 0]}, {CPU: [2, 4], WALL: [0, 0]}]


def test_the_ratio_is_that_of_the_medians() -> None:
    assert compared([1, 2, 90], [0, 3, 4]).ratio(CPU) == 1.5


def test_the_best_ratio_is_that_of_the_least_values() -> None:
    assert compared([2, 2, 90], [7, 3, 4]).best_ratio(CPU) == 1.5


@pytest.mark.parametrize(("present", "ratio"), [(0.0, 1.0), (0.1, float("inf"))])
def test_a_base_of_nothing_is_no_division_by_zero(present: float, ratio: float) -> None:
    found = compared([0.0], [present])
    assert found.ratio(CPU) == found.best_ratio(CPU) == ratio


@pytest.mark.parametrize(("best", "slower"), [(ALLOWED, []), (ALLOWED + 0.01, [CPU])])
def test_slower_is_more_than_what_is_allowed_by_the_best(best: float, slower: list[Figure]) -> None:
    assert compared([1.0, 5.0, 5.0], [9.0, best, 9.0]).slower() == slower


def test_what_does_not_decide_is_never_slower() -> None:
    assert compared([1.0], [9.0], WALL).slower() == []


def test_nothing_is_measured_again_where_nothing_is_slower() -> None:
    assert refused(compared([1.0], [1.2]), never) == []


@pytest.mark.parametrize(("second", "verdict"), [(1.2, []), (1.4, [CPU])])
def test_a_second_round_decides(second: float, verdict: list[Figure]) -> None:
    again = compared([1.0], [second])
    assert refused(compared([1.0], [2.0]), lambda: again) == verdict


def test_each_round_has_to_find_the_same_figure_slower() -> None:
    first = Compared({CPU: [1.0], OTHER: [1.0]}, {CPU: [2.0], OTHER: [1.0]})
    second = Compared({CPU: [1.0], OTHER: [1.0]}, {CPU: [1.0], OTHER: [2.0]})
    assert refused(first, lambda: second) == []


def test_a_row_of_two_versions_has_both_their_spreads_and_ratios() -> None:
    found = Compared({CPU: [1.0, 2.0, 3.0], WALL: [0.001]}, {CPU: [3.0, 2.0, 2.5], WALL: [0.002]})
    assert list(rows_of_two(found)) == [
        ("processor time", "2.00 s (1.00..3.00)", "2.50 s (2.00..3.00)", "1.25", "2.00"),
        ("time", "1.00 ms", "2.00 ms", "2.00", ""),
    ]


def test_a_row_of_one_version_has_the_aim() -> None:
    figure = Figure("memory", "MB", aim="< 100 MB")
    assert list(rows_of_one({figure: [2e6, 1e6]})) == [("memory", "2 MB (1..2)", "< 100 MB")]


def test_columns_are_aligned() -> None:
    assert list(aligned([("", "a", ""), ("what", "10", "1.0"), ("b", "2", "")])) == [
        "       a",
        "what  10  1.0",
        "b      2",
    ]
