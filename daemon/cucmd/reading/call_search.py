r"""PURE. Follows one call through traces: from its SIP Call-ID to its other legs and other nodes.

A call has a leg for each party, and a node that connects two legs writes both into its trace. What
ties the legs is read from the lines in which a known identifier stands:

    Call.search() -> every reading process looks at every file: CallSearch.ties()
        -> Call.add(), in one place -> the next round, until nothing new is found
        -> CallSearch(piece) yields the lines to show

    kind        what it is, and how precise                          source
    Call-ID     names a dialog of SIP in all the world               RFC 3261, 8.1.1.4
    Session-ID  a UUID of an endpoint in this call. It stays the     RFC 7989; Cisco document 200788
                same on all legs, and over a transfer
    Cisco-Guid  of a call through gateways and trunks                211385
    CI          a call reference, of one leg. One cluster numbers    200788, 211385; "CDR
                its legs without repeating a number for a long       Administration Guide",
                time; two clusters may have the same one             origLegCallIdentifier
    signal      the 6th field of an SdlSig line: which message of    200764, 200788
                which connection has caused the signal

    ties these                   where
    Call-ID, Session-ID,         they stand in one SIP message
      Cisco-Guid
    Call-ID, CI                  the tag that the node itself has put into From or To ends with the
                                 reference of the leg: tag=104952~e650e088-...-19301625 (200788)
    Call-ID, Call-ID             Replaces (RFC 3891), Join (RFC 3911), Refer-To with Replaces (RFC
                                 3515), <callid> in a REFER of a telephone (Cisco's document on
                                 secure ad hoc conferences)
    CI, CI                       lines about both legs, as MediaConnectRequest(1,2), CI(1,2),
                                 lParties=(1,2), aCi[1], bCi[2], CI: 1 ASSOC 2, refCI=1, CI=2,
                                 fateShareId=Cluster:1, and |CC|SETUP|1|2| of a call log
    Call-ID, signal, Call-ID     an INVITE or a REFER from outside, and the INVITE that it causes to
                                 another party

Only messages of calls tie: not REGISTER, OPTIONS, SUBSCRIBE, NOTIFY and the like, whose dialogs can
live for days. Identifiers of zeros tie nothing (RFC 7989 has them while the other end is unknown).
A trace can also be hostile, or have an identifier that many calls share. So an identifier that ties
too many others is taken back with all that it has brought, and the number of all is limited.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias
from urllib.parse import unquote_to_bytes

import msgspec

Kind: TypeAlias = Literal["Call-ID", "Session-ID", "Cisco-Guid", "CI", "signal"]

# Each further one costs a search through all files in each round. A call with a transfer has about
# 20, a hunt group that rings at once has 3 for each member.
MOST_IDENTIFIERS = 128
# A search of all files: what is tied only by a line before the line that tells the identifier is
# found one round later.
MOST_ROUNDS = 8
# One that ties more is not the identifier of one call.
MOST_TIED_BY_ONE = 48
# A shorter Call-ID could be any word of a trace.
_SHORTEST_CALL_ID, _LONGEST_CALL_ID = 8, 256
# What one message can name. A REFER of a telephone names six dialogs and sessions.
_MOST_IN_MESSAGE = 16
# A SIP message in a trace, and a line; what is longer is not read to its end.
_LONGEST_MESSAGE, _LONGEST_LINE = 32 * 1024, 8 * 1024

_STAMP = (
    rb"(?:(\d{7,12})\.\d{3} ?\||\d\d/\d\d/\d{4} \d\d:\d\d:\d\d\.\d{3} "
    rb"|\d{4}/\d\d/\d\d[ _]{1,2}\d\d:\d\d:\d\d\.\d{3}\|)"
)
_STAMPED = re.compile(_STAMP)
_STAMPED_LINES = re.compile(rb"^" + _STAMP, re.MULTILINE)

_MESSAGE = re.compile(
    rb"^(?:([A-Z]{3,10}) [^ \r\n]{1,1024} SIP/2\.0|SIP/2\.0 \d{3}\b)", re.MULTILINE
)
_HEADER = re.compile(
    rb"^(call-id|i|from|f|to|t|cseq|session-id|cisco-guid|replaces|join|refer-to|r)[ \t]*:[ \t]*"
    rb"([^\r\n]*)",
    re.MULTILINE | re.IGNORECASE,
)
_COMPACT = {b"i": b"call-id", b"f": b"from", b"t": b"to", b"r": b"refer-to"}
_CALL_METHODS = frozenset(
    (b"INVITE", b"ACK", b"BYE", b"CANCEL", b"PRACK", b"UPDATE", b"INFO", b"REFER")
)
_CALL_ID = re.compile(rb"[\x21-\x7e]{%d,%d}" % (_SHORTEST_CALL_ID, _LONGEST_CALL_ID))
_DIALOG = re.compile(rb"[^\s;,<>]{1,%d}" % _LONGEST_CALL_ID)
_REFERRED = re.compile(rb"[?&]Replaces=([^&>\s]{1,1024})", re.IGNORECASE)
_CALL_ID_IN_XML = re.compile(rb"<callid>([^<\s]{1,%d})</callid>" % _LONGEST_CALL_ID)
_SESSION = re.compile(rb"([0-9a-f]{32})(?:[ \t]*;[ \t]*remote=([0-9a-f]{32}))?")
_GUID = re.compile(rb"\d{10}-\d{10}-\d{10}-\d{10}")
_CI_IN_TAG = re.compile(rb";tag=\d{1,12}~[0-9a-f-]{36}-(\d{8,10})\b")
_RECORDED_CI = re.compile(rb";x-refci=(\d{8,10})\b")
_SIGNAL = re.compile(rb"\|(\d{1,3},\d{1,3},\d{1,4},\d{1,10}\.\d{1,10}\^[0-9A-Fa-f.:]{7,45})\^")

_PAIRS = re.compile(
    rb"(?:mediaconnect[a-z]{1,10}|\bci|parties=) ?\((\d{8,10}), ?(\d{8,10})\)"
    rb"|\baci\[(\d{8,10})\], ?bci\[(\d{8,10})\]"
    rb"|\bci: ?(\d{8,10}) {1,8}assoc'? {1,8}(\d{8,10})\b"
    rb"|\brefci=(\d{8,10}), ?ci=(\d{8,10})\b"
    rb"|\|cc\|[a-z]{1,20}\| ?(\d{8,10})\| ?(\d{8,10})\|"
    rb"|party1\((?:ci=)?(\d{8,10})\b[^\n]{0,100}?party2\((?:ci=)?(\d{8,10})\b",
    re.IGNORECASE,
)
# A number is a call reference only behind one of these. The same digits can number a line.
_CI_MARK = re.compile(
    rb"(?:ci ?[=:] ?[\[(]?|ci ?[\[(]|(?:callref|callreference|conferenceid|(?:ss|other)party)="
    rb"|assoc'? {1,8}|fateshareid=[^\s:]{0,40}:|party[12]\("
    rb"|(?:parties=|mediaconnect[a-z]{1,10}) ?\(|\bch=\d{1,3}\|"
    rb"|~[0-9a-f-]{36}-|\|cc\|[a-z]{1,20}\| ?(?:\d{8,10}\| ?)?"
    rb"|(?:\bci|parties=|mediaconnect[a-z]{1,10}) ?\(\d{8,10}, ?)\Z",
    re.IGNORECASE,
)
_LONGEST_MARK = 64
# In the signal CcSetupReq to the called party: its own reference, and that of the calling party.
_OWN_CI = re.compile(rb"\] *CI=(\d{8,10}) ")
_SHARED_FATE = re.compile(rb"\bfateShareId=[^\s:]{0,64}:(\d{8,10})\b")
_DIGIT_ANALYSIS = b"Digit analysis: match("


class Identifier(msgspec.Struct, frozen=True):
    """Holds an identifier of a call. value: as in the traces."""

    kind: Kind
    value: str


class Tie(msgspec.Struct, frozen=True):
    """Says that an identifier belongs to the call, and which one that was known has told so."""

    identifier: Identifier
    via: Identifier


class Call:
    """Collects the identifiers of one call.

    identifiers  each one that is known, in the order in which they were found
    too_common   the ones that tied too many others: they are no longer followed, and what was only
                 tied by them is no longer known
    is_cut       `MOST_IDENTIFIERS` was reached, so the call may have more
    """

    def __init__(self, call_id: str) -> None:
        """Raises `ValueError` if the text cannot be a Call-ID."""
        call_id = re.sub(r"^(?:call-id|i)\s*:\s*", "", call_id.strip(), flags=re.IGNORECASE)
        if not _CALL_ID.fullmatch(call_id.encode(errors="replace")):
            raise ValueError(
                f"is not a Call-ID: expected {_SHORTEST_CALL_ID} to {_LONGEST_CALL_ID} visible "
                "ASCII characters"
            )
        self._via: dict[Identifier, Identifier | None] = {Identifier("Call-ID", call_id): None}
        self.too_common: list[Identifier] = []
        self.is_cut = False

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        return tuple(self._via)

    def search(self) -> CallSearch:
        """Returns the search for what is known now."""
        return CallSearch(self.identifiers, self.too_common)

    def add(self, ties: Iterable[Tie]) -> list[Tie]:
        """Adds what a round has found. Returns the ties that were new; no others are left."""
        added = []
        tied: dict[Identifier, int] = {}
        for via in self._via.values():
            if via is not None:
                tied[via] = tied.get(via, 0) + 1
        for tie in ties:
            one, via = tie.identifier, tie.via
            if one in self._via or via not in self._via or one in self.too_common:
                continue
            self._via[one] = via
            added.append(tie)
            tied[via] = tied.get(via, 0) + 1
            if tied[via] > MOST_TIED_BY_ONE and self._via[via] is not None:
                self._take_back(via)
        for one in list(self._via)[MOST_IDENTIFIERS:]:
            self.is_cut = True
            del self._via[one]
        return [tie for tie in added if tie.identifier in self._via]

    def _take_back(self, common: Identifier) -> None:
        self.too_common.append(common)
        gone = {common}
        for one, via in self._via.items():  # an identifier stands behind the one that has tied it
            if via in gone:
                gone.add(one)
        for one in gone:
            del self._via[one]


class CallSearch:
    """Searches pieces of traces for the identifiers of a call.

    known       the identifiers to search for
    too_common  identifiers that are not followed
    """

    def __init__(self, known: Iterable[Identifier], too_common: Iterable[Identifier] = ()) -> None:
        self._known = {one: _needles(one) for one in known}
        self._too_common = frozenset(too_common)

    def __call__(self, piece: bytes) -> Iterator[int]:
        """Yields a position in each line that is to be read, in their order.

        Of a SIP message these are the line above the message, which says from or to where it goes,
        and the first line of the message. Other lines are those with an identifier, and the digit
        analysis of the same signal, which has no identifier.
        """
        found = {
            (at, one.kind != "signal") for one in self._known for at in self._places(piece, one)
        }
        places = sorted(found)
        number = 0
        while number < len(places):
            start, end = _signal_around(piece, places[number][0])
            for begin, following in _records(piece, start, end):
                in_record = []
                while number < len(places) and places[number][0] < following:
                    at, is_shown = places[number]
                    in_record += [at] if is_shown else []
                    number += 1
                message = _MESSAGE.search(piece, begin, following)
                if message and in_record:
                    yield begin
                    if message.start() > begin:
                        yield message.start()
                elif message is None and piece.find(_DIGIT_ANALYSIS, begin, following) >= 0:
                    yield begin
                else:
                    yield from in_record

    def ties(self, piece: bytes) -> Iterator[Tie]:
        """Yields what the piece ties to what is known, and follows it from there on."""
        read: set[int] = set()  # where the signals begin that were read
        tied: dict[Identifier, list[tuple[Identifier, ...]]] = {}
        unsearched = list(self._known)
        while unsearched:
            one = unsearched.pop(0)
            new = list(tied.get(one, ()))
            for start, end in self._signals(piece, one, read):
                read.add(start)
                for group in _tied_in(piece, start, end):
                    for each in group:
                        tied.setdefault(each, []).append(group)
                    new.append(group)
            for group in new:
                via = next((each for each in group if each in self._known), None)
                if via is None:
                    continue
                for each in group:
                    is_new = each not in self._known and each not in self._too_common
                    if is_new and len(self._known) < 2 * MOST_IDENTIFIERS:
                        self._known[each] = _needles(each)
                        unsearched.append(each)
                        yield Tie(each, via)

    def _signals(self, piece: bytes, one: Identifier, read: set[int]) -> Iterator[tuple[int, int]]:
        """Yields the signals with the identifier that are not among those that were read."""
        for needle, is_whole in self._known[one]:
            at = piece.find(needle)
            while at >= 0:
                following = at + len(needle)
                if is_whole(piece, at, following):
                    start, following = _signal_around(piece, at)
                    if start not in read:
                        yield start, following
                at = piece.find(needle, following)

    def _places(self, piece: bytes, one: Identifier) -> Iterator[int]:
        for needle, is_whole in self._known[one]:
            at = piece.find(needle)
            while at >= 0:
                end = at + len(needle)
                if is_whole(piece, at, end):
                    yield at
                at = piece.find(needle, end)


def _tied_in(piece: bytes, start: int, end: int) -> Iterator[tuple[Identifier, ...]]:
    """Yields identifiers that a signal ties together."""
    cause = _SIGNAL.search(piece, start, min(end, start + _LONGEST_LINE))
    signal = () if cause is None else (Identifier("signal", cause[1].decode()),)
    for begin, following in _records(piece, start, end):
        messages = list(_MESSAGE.finditer(piece, begin, following))
        for number, match in enumerate(messages):
            last = messages[number + 1].start() if number + 1 < len(messages) else following
            message = _Message(piece, begin, match, last)
            own = message.identifiers
            if message.method in _CALL_METHODS:
                own += signal if message.begins_leg else ()
                yield own
        if not messages:
            yield from _pairs(piece[begin : min(following, begin + _LONGEST_LINE)])


def begin_of_last_signal(piece: bytes) -> int:
    """Returns where the last signal of the piece begins, which may go on in the next piece."""
    return _signal_around(piece, max(0, len(piece) - 1))[0]


def _signal_around(piece: bytes, at: int) -> tuple[int, int]:
    """Returns the begin and the end of the lines with the same number, and of all between them."""
    start = line = piece.rfind(b"\n", 0, at) + 1
    behind = line + 1
    number: bytes | None = None
    while True:
        if stamp := _STAMPED.match(piece, line):
            if number is not None and stamp[1] != number:
                break
            start, number = line, stamp[1]
            if number is None:
                break
        if not line:
            start = start if number is not None else 0
            break
        line = piece.rfind(b"\n", 0, line - 1) + 1
    for stamp in _STAMPED_LINES.finditer(piece, behind):
        if stamp[1] is None or stamp[1] != number:
            return start, stamp.start()
    return start, len(piece)


def _records(piece: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Yields the begin and the end of each line with a stamp, with those without one behind it."""
    end = len(piece) if end is None else end
    begin = start
    for stamp in _STAMPED_LINES.finditer(piece, start, end):
        if stamp.start() > begin:
            yield begin, stamp.start()
            begin = stamp.start()
    if end > begin:
        yield begin, end


class _Message:
    """Reads a SIP message.

    identifiers  of its dialog, and of dialogs that it names
    begins_leg   an INVITE that begins a dialog, or a REFER to the node, which makes it send one
    """

    def __init__(self, piece: bytes, begin: int, first: re.Match[bytes], end: int) -> None:
        above = piece[begin : first.start()]
        text = piece[first.start() : min(end, first.start() + _LONGEST_MESSAGE)]
        blank = re.search(rb"\n\r?\n", text)
        head, body = (text[: blank.start()], text[blank.end() :]) if blank else (text, b"")
        self.is_outgoing = b"Outgoing SIP" in above
        is_incoming = b"Incoming SIP" in above
        # Another INVITE that the node sends for the same signal is of the same call.
        self.begins_leg = first[1] == b"INVITE" or (first[1] == b"REFER" and is_incoming)
        self.method = first[1] or b""
        found: list[tuple[Kind, bytes | None]] = []
        for header in _HEADER.finditer(head):
            name, value = header[1].lower(), header[2].strip()
            name = _COMPACT.get(name, name)
            if name == b"cseq" and not first[1]:
                self.method = value.rpartition(b" ")[2]
            found += _named_in_header(name, value)
            # The other tag may be that of another cluster, whose numbers say nothing here. So only
            # the tag counts that this node has made.
            is_local = (self.is_outgoing == bool(first[1])) == (name == b"from")
            if name == b"to" and first[1] == b"INVITE" and b";tag=" in value:
                self.begins_leg = False  # it is within a dialog
            if name in (b"from", b"to") and is_local and (self.is_outgoing or is_incoming):
                found += [("CI", ci) for ci in _CI_IN_TAG.findall(value)]
                found += [("CI", ci) for ci in _RECORDED_CI.findall(value)]
        if self.method == b"REFER":
            found += [("Call-ID", dialog) for dialog in _CALL_ID_IN_XML.findall(body)]
        self.identifiers = tuple(
            dict.fromkeys(
                Identifier(kind, value.decode())
                for kind, value in found[:_MOST_IN_MESSAGE]
                if value and value.strip(b"0-") and (kind != "Call-ID" or _CALL_ID.fullmatch(value))
            )
        )


def _named_in_header(name: bytes, value: bytes) -> list[tuple[Kind, bytes | None]]:
    if name == b"call-id":
        return [("Call-ID", value)]
    if name == b"session-id" and (session := _SESSION.match(value)):
        return [("Session-ID", session[1]), ("Session-ID", session[2])]
    if name == b"cisco-guid" and _GUID.fullmatch(value):
        return [("Cisco-Guid", value)]
    if name == b"refer-to":
        referred = _REFERRED.search(value)
        value = unquote_to_bytes(referred[1]) if referred else b""
    if name in (b"replaces", b"join", b"refer-to") and (dialog := _DIALOG.match(value)):
        return [("Call-ID", dialog[0])]
    return []


def _pairs(record: bytes) -> Iterator[tuple[Identifier, Identifier]]:
    for pair in _PAIRS.finditer(record):
        first, second = (one for one in pair.groups() if one is not None)
        yield Identifier("CI", first.decode()), Identifier("CI", second.decode())
    fate = _SHARED_FATE.search(record)
    if fate and (own := _OWN_CI.search(record, 0, fate.start())):
        yield Identifier("CI", own[1].decode()), Identifier("CI", fate[1].decode())


_Needle: TypeAlias = tuple[bytes, Callable[[bytes, int, int], bool]]


def _needles(one: Identifier) -> list[_Needle]:
    """Returns the bytes to search for, and what says whether they are the whole identifier."""
    value = one.value.encode()
    match one.kind:
        case "Call-ID":
            forms = dict.fromkeys((value, value.replace(b"@", b"%40")))
            return [(form, _is_whole_call_id) for form in forms]
        case "CI":
            return [(value, _is_ci)]
        case "signal":
            return [(b"|" + value + b"^", lambda _piece, _at, _end: True)]
        case _:
            return [(value, _is_whole_word)]


def _is_whole_word(piece: bytes, at: int, end: int) -> bool:
    return not (piece[max(0, at - 1) : at].isalnum() or piece[end : end + 1].isalnum())


def _is_whole_call_id(piece: bytes, at: int, end: int) -> bool:
    before, behind = piece[max(0, at - 1) : at], piece[end : end + 2]
    return not (
        before.isalnum()
        or before in (b"-", b"_", b"@", b".")
        or behind[:1].isalnum()
        or behind[:1] in (b"-", b"_", b"@")
        or (behind[:1] == b"." and behind[1:].isalnum())
    )


def _is_ci(piece: bytes, at: int, end: int) -> bool:
    if piece[end : end + 1].isdigit():
        return False
    return _CI_MARK.search(piece, max(0, at - _LONGEST_MARK), at) is not None
