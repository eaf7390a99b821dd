"""No pattern and no parser may cost more than the length of a node's text.

The tests find all patterns and parsers by themselves. A pattern gets lines that are made of its own
parts (rig/hostile_texts.py). A text twice as long may take three times as long. The tests compare
the processor time of this thread, the best of several tries, and only if there is enough of it to
measure: quadratic cost would take a hundred times that at these lengths.
"""

import importlib
import inspect
import pkgutil
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from types import ModuleType
from typing import TypeVar

import pytest

from cucmd import node_name, reading, vos, work
from cucmd.ssh import node_login
from rig.hostile_texts import hostile, lines_for, patterns_in

SHORT = 1000  # characters
FEW = 2000  # lines
MOST = 3.0  # times as long, for twice as much
MEASURABLE = 3e-4  # seconds, for twice as much
MOST_EACH = 1e-6  # seconds for a character: with limits for each part many steps are linear too
TRIES = 8

Text = str | bytes
Argument = TypeVar("Argument")


def modules(*packages: ModuleType) -> Iterator[ModuleType]:
    for package in packages:
        yield package
        for found in pkgutil.iter_modules(getattr(package, "__path__", ()), f"{package.__name__}."):
            yield importlib.import_module(found.name)


def all_patterns() -> dict[str, re.Pattern]:
    """Returns all patterns, each once, by the place where it was found."""
    found: dict[re.Pattern, str] = {}
    for module in modules(vos, reading, work, node_name, node_login):
        for name, value in vars(module).items():
            for number, pattern in enumerate(patterns_in(value)):
                place = f"{module.__name__.removeprefix('cucmd.')}.{name}"
                found.setdefault(pattern, f"{place}.{number}" if number else place)
    return {place: pattern for pattern, place in found.items()}


def all_parsers() -> dict[str, Callable[..., object]]:
    """Returns the functions of `vos` that parse the lines of an answer."""
    found: dict[str, Callable[..., object]] = {}
    for module in modules(vos):
        for name, value in vars(module).items():
            if inspect.isfunction(value) and name.startswith("parse_"):
                first = next(iter(inspect.signature(value).parameters.values()))
                if first.annotation == "Iterable[str]":
                    found[name] = value
    return found


def uses(place: str, pattern: re.Pattern) -> list[Callable[[Text], object]]:
    """Returns the ways in which a pattern's module uses it, or all ways if its source shows none.

    A pattern that only matches from the beginning need not be quick to search for.
    """
    module, name = re.fullmatch(r"(.+)\.([A-Za-z_]+)(?:\.\d+)?", place).groups()
    source = inspect.getsource(importlib.import_module(f"cucmd.{module}"))
    found = set(re.findall(rf"\b{name}(?:\[\w+\])?\.(\w+)\(", source))
    found |= {"fullmatch"} if f"match_line({name}," in source else set()
    ways = found & {"match", "fullmatch", "search", "findall", "finditer", "sub"}
    all_of_it = {"finditer": "findall", "sub": "findall"}
    ways = {all_of_it.get(way, way) for way in ways} or {"match", "fullmatch", "search"}
    return [getattr(pattern, way) for way in sorted(ways)]


def seconds(work: Callable[[], object]) -> float:
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def assert_linear(work: Callable[[Argument], object], once: Argument, twice: Argument) -> None:
    least_once = least_twice = float("inf")
    for _ in range(TRIES):
        least_twice = min(least_twice, seconds(lambda: work(twice)))
        if least_twice < MEASURABLE:
            return
        least_once = min(least_once, seconds(lambda: work(once)))
        if least_twice <= min(
            MOST * least_once * size_of(twice) / (2 * size_of(once)), MOST_EACH * size_of(twice)
        ):
            return
    raise AssertionError(
        f"{least_once:.6f} s, and for twice as much {least_twice:.6f} s: {twice!r:.200}"
    )


def size_of(given: Text | Sequence[str]) -> int:
    return len(given) if isinstance(given, Text) else sum(map(len, given))


PATTERNS = all_patterns()
PARSERS = all_parsers()


@pytest.mark.long
@pytest.mark.parametrize("place", PATTERNS)
def test_pattern_costs_are_linear(place: str) -> None:
    pattern = PATTERNS[place]
    # Short texts come first: exponential cost would never come to an end with long ones.
    for size in (20, 100, 400, SHORT):
        for texts in zip(hostile(pattern, size), hostile(pattern, 2 * size), strict=True):
            for use in uses(place, pattern):
                assert_linear(use, *(as_used(pattern, text) for text in texts))


def as_used(pattern: re.Pattern, text: str) -> Text:
    return text.encode("latin-1") if isinstance(pattern.pattern, bytes) else text


@pytest.mark.parametrize("name", PARSERS)
def test_parser_is_linear_in_line_length(name: str) -> None:
    for short, long in zip(
        lines_for(PARSERS[name], 250), lines_for(PARSERS[name], 500), strict=True
    ):
        assert_linear(partial(parsed, name), [short], [long])


@pytest.mark.parametrize("name", PARSERS)
def test_parser_is_linear_in_lines(name: str) -> None:
    texts = cycle(lines_for(PARSERS[name], 100))
    lines = [f"{text}{number}" for number, text in enumerate(islice(texts, 2 * FEW))]
    assert_linear(partial(parsed, name), lines[:FEW], lines)


def parsed(name: str, lines: Sequence[str]) -> object:
    return PARSERS[name](lines)


def test_finds_patterns_and_parsers() -> None:
    assert {"parse_machine", "parse_service_list", "parse_file_list"} <= PARSERS.keys()
    named = {"vos.service_answers._PEER", "reading.stamps._ANY_LINE", "work.check._NAME"}
    assert named <= PATTERNS.keys()
