"""What a node has made costs no more than its length: every pattern and every parser, found here.

A pattern is given lines that are made of its own parts: runs of blanks, of each of its characters
and of each part that repeats, before and behind what fits, with an end that does not. Twice as long
may take three times as long. What is compared is processor time of this thread, the best of
several, and only where there is enough to be measured: a square takes a hundred times that at these
lengths.
"""

import importlib
import inspect
import pkgutil
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from re import _compiler, _constants, _parser  # to take patterns apart
from types import ModuleType
from typing import TypeVar

import pytest

from cucmd import node_name, reading, vos, work
from cucmd.ssh import login

SHORT = 1500  # characters
FEW = 3000  # lines
MOST = 3.0  # times as long, for twice as much
MEASURABLE = 3e-4  # seconds, for twice as much
MOST_EACH = 1e-6  # seconds for a character: with limits for each part many steps are linear too
TRIES = 8
# Characters that mean something in answers, beside those of a pattern itself.
OFTEN = " \ta0.:-[]=()/"
CHARACTERS = [chr(code) for code in (*range(32, 127), 9, 10, *range(127, 256))]

Text = str | bytes
Argument = TypeVar("Argument")


def modules(*packages: ModuleType) -> Iterator[ModuleType]:
    for package in packages:
        yield package
        for found in pkgutil.iter_modules(getattr(package, "__path__", ()), f"{package.__name__}."):
            yield importlib.import_module(found.name)


def patterns_in(value: object) -> Iterator[re.Pattern]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from patterns_in(tuple(value.values()))
    elif isinstance(value, tuple | list | set | frozenset):
        for one in value:
            yield from patterns_in(one)


def all_patterns() -> dict[str, re.Pattern]:
    """Finds all patterns, by where each was found; one that is found again only once."""
    found: dict[re.Pattern, str] = {}
    for module in modules(vos, reading, work, node_name, login):
        for name, value in vars(module).items():
            for number, pattern in enumerate(patterns_in(value)):
                place = f"{module.__name__.removeprefix('cucmd.')}.{name}"
                found.setdefault(pattern, f"{place}.{number}" if number else place)
    return {place: pattern for pattern, place in found.items()}


def all_parsers() -> dict[str, Callable[..., object]]:
    """The functions of `vos` that are given the lines of an answer."""
    found: dict[str, Callable[..., object]] = {}
    for module in modules(vos):
        for name, value in vars(module).items():
            if inspect.isfunction(value) and name.startswith("parse_"):
                first = next(iter(inspect.signature(value).parameters.values()))
                if first.annotation == "Iterable[str]":
                    found[name] = value
    return found


def uses(place: str, pattern: re.Pattern) -> list[Callable[[Text], object]]:
    """Says how its module uses it: a pattern that is matched from the beginning need not be quick
    to search for. All ways, if that is not seen.
    """
    module, name = re.fullmatch(r"(.+)\.([A-Za-z_]+)(?:\.\d+)?", place).groups()
    source = inspect.getsource(importlib.import_module(f"cucmd.{module}"))
    found = set(re.findall(rf"\b{name}(?:\[\w+\])?\.(\w+)\(", source))
    found |= {"fullmatch"} if f"whole({name}," in source else set()
    ways = found & {"match", "fullmatch", "search", "findall", "finditer", "sub"}
    all_of_it = {"finditer": "findall", "sub": "findall"}
    ways = {all_of_it.get(way, way) for way in ways} or {"match", "fullmatch", "search"}
    return [getattr(pattern, way) for way in sorted(ways)]


class Piece:
    """Holds a part of a text that fits a pattern. `again`: what may stand there many times."""

    def __init__(self, text: str, again: str = "") -> None:
        self.text, self.again = text, again


def pieces(parts: Iterable[tuple]) -> Iterator[Piece]:
    for kind, what in parts:
        if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            least, most, body = what
            inner = "".join(piece.text for piece in pieces(body))
            if most > 1:
                yield Piece(inner * least, inner)
            elif body:
                yield from pieces(body)
        elif kind is _constants.SUBPATTERN:
            yield from pieces(what[-1])
        elif kind is _constants.BRANCH:
            yield from pieces(what[1][0])
        elif kind not in (_constants.AT, _constants.ASSERT, _constants.ASSERT_NOT):
            yield Piece(character(kind, what))


def character(kind: object, what: object) -> str:
    if kind is _constants.LITERAL:
        return chr(what)
    state = _parser.State()
    state.str = ""
    fits = _compiler.compile(_parser.SubPattern(state, [(kind, what)]))
    # A letter or a blank rather than a sign: more parts of a pattern take them.
    return next(one for one in ("a", "A", "0", " ", *CHARACTERS) if fits.fullmatch(one))


def alternatives(pattern: re.Pattern) -> list[list[Piece]]:
    """The pieces of a text that fits: for the pattern, and for each alternative in it."""

    def branches(parts: Iterable[tuple]) -> Iterator[Iterable[tuple]]:
        for kind, what in parts:
            if kind is _constants.BRANCH:
                for branch in what[1]:
                    yield branch
                    yield from branches(branch)
            elif kind is _constants.SUBPATTERN:
                yield from branches(what[-1])
            elif kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
                yield from branches(what[2])

    parsed = _parser.parse(pattern.pattern, pattern.flags)
    return [joined(pieces(parts)) for parts in (parsed, *branches(parsed))]


def joined(all_pieces: Iterable[Piece]) -> list[Piece]:
    """Fixed characters that follow each other are one piece."""
    found: list[Piece] = []
    for piece in all_pieces:
        if found and not (found[-1].again or piece.again):
            found[-1] = Piece(found[-1].text + piece.text)
        else:
            found.append(piece)
    return found


def hostile(pattern: re.Pattern, size: int) -> Iterator[str]:
    """Texts of about `size` characters."""
    found = alternatives(pattern)
    whole = "".join(piece.text for piece in found[0])
    characters = dict.fromkeys(char for one in found for piece in one for char in piece.text)
    for unit in dict.fromkeys([*OFTEN, *characters, " a", "a ", ": "]):
        run = unit * (size // len(unit))
        yield from (f"{run}!", run + whole[-1:], f"{whole}{run}!")
    for fitting in found:
        texts = [piece.text for piece in fitting]
        for place, piece in enumerate(fitting):
            before, after = "".join(texts[:place]), "".join(texts[place:])
            for unit in dict.fromkeys((" ", "a", piece.again or " ", f"{piece.again} ")):
                run = unit * (size // len(unit))
                yield from (f"{before}{run}{after}!", f"{before}{run}!", before + run)
        many = size // (sum(bool(piece.again) for piece in fitting) or 1)
        ends = dict.fromkeys(["!", *(char for char in characters if not char.isalnum())])
        for blanks in (0, 1, many):
            pumped = (
                piece.text + (f"{piece.again}{' ' * blanks}" * (many // (blanks + 1) or 1))
                for piece in fitting
            )
            almost = "".join(pumped)
            yield from (almost + end for end in ends)


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


@pytest.mark.parametrize("place", PATTERNS)
def test_a_pattern_costs_no_more_than_the_length_of_its_text(place: str) -> None:
    pattern = PATTERNS[place]
    # At first short ones: what grows with a power of two would not come to its end.
    for size in (20, 100, 400, SHORT):
        for texts in zip(hostile(pattern, size), hostile(pattern, 2 * size), strict=True):
            for use in uses(place, pattern):
                assert_linear(use, *(as_taken(pattern, text) for text in texts))


def as_taken(pattern: re.Pattern, text: str) -> Text:
    return text.encode("latin-1") if isinstance(pattern.pattern, bytes) else text


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_costs_no_more_than_the_length_of_a_line(name: str) -> None:
    for short, long in zip(lines_for(name, 250), lines_for(name, 500), strict=True):
        assert_linear(partial(parsed, name), [short], [long])


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_costs_no_more_than_the_number_of_its_lines(name: str) -> None:
    texts = cycle(lines_for(name, 100))
    lines = [f"{text}{number}" for number, text in enumerate(islice(texts, 2 * FEW))]
    assert_linear(partial(parsed, name), lines[:FEW], lines)


def lines_for(name: str, size: int) -> Iterator[str]:
    """Made of the patterns of its module."""
    module = inspect.getmodule(PARSERS[name])
    for value in vars(module).values():
        for pattern in patterns_in(value):
            yield from hostile(pattern, size)


def parsed(name: str, lines: Sequence[str]) -> object:
    others = [lambda zone: None] if name == "parse_show_status" else []
    return PARSERS[name](lines, *others)


def test_all_parsers_of_answers_are_among_them() -> None:
    assert {"parse_machine", "parse_service_list", "parse_show_status"} <= PARSERS.keys()
    named = {"vos.services._PEER", "reading.stamps._ANY_LINE", "work.check._NAME"}
    assert named <= PATTERNS.keys()
