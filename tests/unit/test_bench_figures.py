"""How `tests/bench` compares two versions, and when it refuses one."""

import pytest

from bench.figures import ALLOWED, Compared, Figure, in_turns, refused

CPU = Figure("processor time", "s", decides=True)
OTHER = Figure("of something else", "s", decides=True)
WALL = Figure("time", "ms")


def compared(base: list[float], present: list[float], figure: Figure = CPU) -> Compared:
    return Compared({figure: base}, {figure: present})


def test_versions_are_measured_in_turns() -> None:
    order = []

    def measure(version: str) -> dict[Figure, float]:
        order.append(version)
        return {CPU: float(len(order)), WALL: 0.0}

    found = in_turns([lambda: measure("a"), lambda: measure("b")], rounds=2)
    assert order == ["a", "b", "a", "b"]
    assert found == [{CPU: [1, 3], WALL: [0, 0]}, {CPU: [2, 4], WALL: [0, 0]}]


def test_the_ratio_is_that_of_the_medians_and_the_best_that_of_the_least() -> None:
    found = compared([2, 2, 90], [7, 3, 4])
    assert (found.ratio(CPU), found.best_ratio(CPU)) == (2, 1.5)


@pytest.mark.parametrize(("best", "slower"), [(ALLOWED, []), (ALLOWED + 0.01, [CPU])])
def test_slower_is_more_than_what_is_allowed_by_the_best(best: float, slower: list[Figure]) -> None:
    assert compared([1.0, 5.0, 5.0], [9.0, best, 9.0]).slower() == slower


def test_what_does_not_decide_is_never_slower() -> None:
    assert compared([1.0], [9.0], WALL).slower() == []


@pytest.mark.parametrize(("second", "verdict"), [(1.2, []), (1.4, [CPU])])
def test_a_second_round_decides(second: float, verdict: list[Figure]) -> None:
    again = compared([1.0], [second])
    assert refused(compared([1.0], [2.0]), lambda: again) == verdict


def test_each_round_has_to_find_the_same_figure_slower() -> None:
    first = Compared({CPU: [1.0], OTHER: [1.0]}, {CPU: [2.0], OTHER: [1.0]})
    second = Compared({CPU: [1.0], OTHER: [1.0]}, {CPU: [1.0], OTHER: [2.0]})
    assert refused(first, lambda: second) == []
