"""PURE. Finds lines of traces in which a directory number stands where such traces have numbers.

The digits alone are also part of times, sequence numbers, addresses and ports. So they count only
behind a mark:

    mark                                         seen in
    cn="1000", fqcn="+14085251000", dd="1001"    digit analysis: SDL traces (Cisco document 200788),
                                                 SDI traces (the troubleshooting guide)
    CallingPartyNumber=1000, DialingPattern=1001 results of digit analysis (200788); a key counts
    DialingPatternRegularExpression=(1001)       if it ends with one of `_ENDS_OF_KEYS`
    nd=2161, User=9999, cgPat=2161,              the parties in the signal CcSetupReq (200764)
    posMatches=9999, CalledPartyInfo=3999
    Pattern=[9999], resDevNum=[+1234567890]      other lines of SDL traces (200764, 211385)
    sip:1001@10.48.38.5, sips:, tel:+49...       headers of SIP, and URIs elsewhere
    x-nearendaddr=1000                           parameters of such URIs (200788)
    |CC|SETUP|55808087|55808096|1000|1001        call logs (vos/NODES.md, section 7.1)
    ,"1001",                                     a quoted field of a call detail record

Digits in hex dumps of ISDN messages (`31 30 30 31`) are not found, nor a number of which each digit
was dialled and traced by itself, before the last one (`dd="10"`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SHORTEST, _LONGEST = 2, 32  # digits that can be searched for
# From so many digits on, a number is found behind a prefix (`9`, `0049`, `+1408`). A shorter one
# would be the end of very many other numbers.
_FOUND_BEHIND_PREFIX = 4
# So many digits identify a number that is written shorter than the one that was asked for.
_FOUND_WITHOUT_PREFIX = 6

_DIALLED = b"0123456789*#"
_BEFORE_DIGITS = _DIALLED + rb"+\."  # a prefix, `\+` of a pattern, and the dot of `9.5550100`
_LONGEST_MARK = 64
_LONGEST_CALL_LOG = 1024

# What stands before `=` or `:` and a number, in lower case: all of it, or its end.
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"
_KEYS = frozenset(
    b"sip sips tel cn fqcn dd dn nd user display number digits posmatches cgpat cdpat lrpat opat "
    b"itrpat x-nearendaddr x-farendaddr".split()
)
_ENDS_OF_KEYS = tuple(
    b"party partynumber partynum partydn partyinfo callednumber callingnumber redirectingnumber "
    b"directorynumber linenumber phonenumber pilotnumber callbacknumber callback-number devnum "
    b"cgpn cdpn dialeddigits collecteddigits digitstring pattern expression matchlist "
    b"mailbox".split()
)
_CALL_LOG = re.compile(rb"\d{4}/\d\d/\d\d[ _]{1,2}\d\d:\d\d:\d\d\.\d{3}\|CC\|")


class NumberSearch:
    """Finds the lines with a number. A call takes whole lines, and yields an offset in each.

    A number in a trace is the one asked for if it ends with the same digits: it may have a prefix,
    or a `+` and the codes of country and area. The prefix is not looked at, unless both numbers
    have a `+`: then both have to be equal. If the number in the trace is the shorter one, it needs
    six digits or more, without zeros at its beginning. A number of three digits or less is found
    without any prefix only.
    """

    def __init__(self, number: str) -> None:
        """Raises `ValueError` if the text is not a number. It may contain blanks and `-./()`."""
        digits = re.sub(r"[\s().\-/]", "", number)
        self._is_international = digits.startswith("+")
        digits = digits.removeprefix("+")
        if not _SHORTEST <= len(digits) <= _LONGEST or not re.fullmatch(r"[0-9*#]+", digits):
            raise ValueError(
                f"is not a number: expected {_SHORTEST} to {_LONGEST} digits, perhaps behind a +"
            )
        if len(digits) > _FOUND_WITHOUT_PREFIX:
            digits = digits.lstrip("0").rjust(_FOUND_WITHOUT_PREFIX, "0")
        self._number = digits.encode()
        # What all of its forms end with. The search for it is as quick as `bytes.find`; the marks
        # are looked at only where it is found.
        self._end = self._number[-_FOUND_WITHOUT_PREFIX:]

    def __call__(self, piece: bytes) -> Iterator[int]:
        end = self._end
        at = piece.find(end)
        while at >= 0:
            behind = at + len(end)
            if piece[behind : behind + 1] not in _DIALLED_ONES and self._is_here(piece, at, behind):
                yield at
                behind = piece.find(b"\n", behind)
                if behind < 0:
                    return
            at = piece.find(end, behind)

    def _is_here(self, piece: bytes, at: int, behind: int) -> bool:
        before = piece[max(0, at - _LONGEST_MARK) : at]
        before = before[before.rfind(b"\n") + 1 :]
        marked = before.rstrip(_BEFORE_DIGITS)
        prefix = before[len(marked) :]
        is_international = b"+" in prefix or marked.endswith((b"%2B", b"%2b"))
        if marked.endswith((b"%2B", b"%2b")):
            marked = marked[:-3]
        if not self._is_same(prefix, is_international):
            return False
        if _is_key(marked):
            return True
        following = piece[behind : behind + 1]
        if marked[-1:] == b'"':
            return following == b'"' and marked[-2:-1] in (b"", b",")
        if marked.rstrip(b" ")[-1:] == b"|" and following in (b"|", b" ", b"\r", b"\n", b""):
            begin = piece.rfind(b"\n", max(0, at - _LONGEST_CALL_LOG), at) + 1
            return _CALL_LOG.match(piece, begin) is not None
        return False

    def _is_same(self, prefix: bytes, is_international: bool) -> bool:
        found = prefix.translate(None, rb"+\.") + self._end
        number = self._number
        if found == number:
            return True
        if self._is_international and is_international:
            return False
        if found.endswith(number):
            return len(number) >= _FOUND_BEHIND_PREFIX
        found = found.lstrip(b"0")
        return (
            not is_international and len(found) >= _FOUND_WITHOUT_PREFIX and number.endswith(found)
        )


def _is_key(marked: bytes) -> bool:
    """Returns whether the bytes end with the key of a number, such as `cn="` or `DN = `."""
    if marked[-1:] in (b'"', b"'", b"(", b"["):
        marked = marked[:-1]
    marked = marked.removesuffix(b" ")
    if marked[-1:] not in (b"=", b":"):
        return False
    marked = marked[:-1].removesuffix(b" ")
    key = marked[len(marked.rstrip(_LETTERS)) :].lower()
    return key in _KEYS or key.endswith(_ENDS_OF_KEYS)


_DIALLED_ONES = frozenset(bytes([one]) for one in _DIALLED)
