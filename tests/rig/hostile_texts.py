"""Makes texts that are slow to match, from the parts of a pattern.

The texts have long runs of blanks, of each character of the pattern, and of each part that repeats,
before and after a text that fits, and an end that does not fit.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from re import _compiler, _constants, _parser  # to take patterns apart

# Characters that are frequent in answers. They are tried beside those of the pattern.
OFTEN = " \ta0.:-[]=()/"
CHARACTERS = [chr(code) for code in (*range(32, 127), 9, 10, *range(127, 256))]


def patterns_in(value: object) -> Iterator[re.Pattern]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from patterns_in(tuple(value.values()))
    elif isinstance(value, tuple | list | set | frozenset):
        for one in value:
            yield from patterns_in(one)


def lines_for(parser: Callable[..., object], size: int) -> Iterator[str]:
    """Makes texts of about `size` characters for all patterns in the module of the parser."""
    for value in vars(inspect.getmodule(parser)).values():
        for pattern in patterns_in(value):
            yield from hostile(pattern, size)


class Piece:
    """Holds a part of a text that fits a pattern. `again` is what may be repeated there."""

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
    # Letters and blanks first, since more parts of a pattern take them than signs.
    return next(one for one in ("a", "A", "0", " ", *CHARACTERS) if fits.fullmatch(one))


def alternatives(pattern: re.Pattern) -> list[list[Piece]]:
    """Returns the pieces of a text that fits the pattern, and those for each alternative in it."""

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
    """Joins neighbouring pieces of fixed characters."""
    found: list[Piece] = []
    for piece in all_pieces:
        if found and not (found[-1].again or piece.again):
            found[-1] = Piece(found[-1].text + piece.text)
        else:
            found.append(piece)
    return found


def hostile(pattern: re.Pattern, size: int) -> Iterator[str]:
    """Makes texts of about `size` characters."""
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
