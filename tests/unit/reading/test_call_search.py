"""Following a call. The lines are of the sources that the module names, shortened."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.reading.call_search import (
    MOST_IDENTIFIERS,
    MOST_TIED_BY_ONE,
    Call,
    CallSearch,
    Identifier,
    Tie,
    begin_of_last_signal,
)
from rig.call_traces import CALL_ID, Traces

A = "38ed1855-2a120006-78c34baf-1b81d864@10.48.38.102"
B = "34241a00-d6514bed-327f-526300e@10.48.38.5"
UUID = "1001532000105000a00038ed18552a12"
OTHER_UUID = "4313758700105000a0006c416a369525"
NIL = "0" * 32
TAG = "104952~e650e088-60ba-4195-8387-3dcc0127efdc-"
KNOWN = Identifier("Call-ID", A)
FIRST, SECOND = Identifier("CI", "19301624"), Identifier("CI", "19301625")
CAUSE = "1,100,14,83.39^10.48.38.102"


def message(first: str, *headers: str, incoming: bool = True, cause: str = "1,1,1,1.1^*") -> str:
    way = "wait_SdlReadRsp: Incoming" if incoming else "wait_SdlSPISignal: Outgoing"
    return "\n".join(
        (
            f"04241111.000 |11:27:41.232 |SdlSig   |Sdl |wait |SIPTcp(1,100,80,1) |x |{cause}^* |",
            f"04241111.002 |11:27:41.232 |AppInfo  |SIPTcp - {way} SIP TCP message from 10.0.0.1:",
            "[286938,NET]",
            first,
            *headers,
            "",
            "v=0",
            "",
        )
    )


INVITE = "INVITE sip:1001@10.48.38.5;user=phone SIP/2.0"
ANSWER = "SIP/2.0 200 OK"
OF_INVITE = "CSeq: 101 INVITE"


def tied(text: str, *known: Identifier) -> set[str]:
    return {tie.identifier.value for tie in CallSearch(known or [KNOWN]).ties(text.encode())}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(
            message(INVITE, f"Call-ID: {A}", f"Session-ID: {UUID};remote={NIL}"),
            {UUID},
            id="session of one end",
        ),
        pytest.param(
            message(ANSWER, f"Call-ID: {A}", OF_INVITE, f"Session-ID: {UUID};remote={OTHER_UUID}"),
            {UUID, OTHER_UUID},
            id="session of both ends",
        ),
        pytest.param(
            message(INVITE, f"i: {A}", "Cisco-Guid: 2558761344-0000065536-0000308372-0402827456"),
            {"2558761344-0000065536-0000308372-0402827456"},
            id="guid, short name of Call-ID",
        ),
        pytest.param(
            message(INVITE, f"From: <sip:1@h>;tag={TAG}19301625", f"Call-ID: {A}", incoming=False),
            {"19301625"},
            id="own tag of request sent",
        ),
        pytest.param(
            message(
                INVITE,
                f"From: <sip:1@h;x-nearend;x-refci=19301625;x-farendrefci=7>;tag={TAG}19301628",
                f"Call-ID: {A}",
                incoming=False,
            ),
            {"19301625", "19301628"},
            id="recorded leg of request sent",
        ),
        pytest.param(
            message(ANSWER, f"To: <sip:1@h>;tag={TAG}19301624", f"Call-ID: {A}", OF_INVITE),
            set(),
            id="foreign tag of response received",
        ),
        pytest.param(
            message(
                ANSWER,
                f"To: <sip:1@h>;tag={TAG}19301624",
                f"Call-ID: {A}",
                OF_INVITE,
                incoming=False,
            ),
            {"19301624"},
            id="own tag of response sent",
        ),
        pytest.param(
            message(INVITE, f"Call-ID: {B}", f"Replaces: {A};to-tag=7;from-tag=8"),
            {B},
            id="replaces",
        ),
        pytest.param(
            message(INVITE, f"Call-ID: {B}", f"Join: {A};from-tag=6c41;to-tag={TAG}19301625"),
            {B},
            id="join",
        ),
        pytest.param(
            message(
                "REFER sip:1@h SIP/2.0",
                f"Call-ID: {A}",
                f"Refer-To: <sip:1003@h?Replaces={B.replace('@', '%40')}%3Bto-tag%3D1>",
            ),
            {B},
            id="refer with replaces",
        ),
        pytest.param(
            message(
                "REFER sip:1@h SIP/2.0",
                f"Call-ID: {B}",
                f"Refer-To: <sip:1003@h?Replaces={A.replace('@', '%40')}%3Bto-tag%3D1>",
            ),
            {B},
            id="refer of the consulted call",
        ),
        pytest.param(
            message(
                "REFER sip:CUCM SIP/2.0",
                "Call-ID: a4b439d3-8e150010@10.0.0.9",
                "",
                f"<dialogid>\n<callid>{A}</callid>\n</dialogid>",
                f"<consultdialogid>\n<callid>{B}</callid>\n</consultdialogid>",
            ),
            {B, "a4b439d3-8e150010@10.0.0.9"},
            id="refer of a softkey",
        ),
        pytest.param(
            message(INVITE, f"Call-ID: {A}", cause=CAUSE), {CAUSE}, id="cause of an invite"
        ),
    ],
)
def test_ties_of_sip_message(text: str, found: set[str]) -> None:
    assert tied(text) == found


@pytest.mark.parametrize(
    "line",
    [
        "ARBTRY-ConnectionManager-wait_MediaConnectRequest(19301624,19301625)",
        "SIG-MediaManager-(473607)::wait_MediaConnectRequest, CI(19301624,19301625), capCount(7,1)",
        "LPSession -await_associate_PolicyAssociateReq, aCi[19301624], bCi[19301625]",
        "LBMIF: CI: 19301624 ASSOC    19301625",
        "LBMIF: CI: 19301625 ASSOC'   19301624",
        "RecordManager::- await_SsDataInd lParties=(19301624,19301625)",
        "CcSetupReq onBehalfOf=Recording refCI=19301624, CI=19301625",
        "create connection between party1(19301624) and party2(19301625), newConnCount=1",
        "wait_MediaConnectRequest, party1(CI=19301624, MediaReq=2),party2(CI=19301625, MXIF=0)",
        "[R:N-H:0,N:1,L:0] CI=19301625 CI.branch=0 fateShareId=StandAloneCluster:19301624 video=1",
    ],
)
def test_ties_of_call_references(line: str) -> None:
    text = f"04241400.001 |11:27:43.630 |AppInfo  |{line}\n"
    assert tied(text, FIRST) == {"19301625"}
    assert tied(text, SECOND) == {"19301624"}


def test_ties_of_call_log() -> None:
    assert tied("2019/07/04  14:37:15.142|CC|SETUP|19301624|19301625|1000|1|1\n", FIRST) == {
        "19301625"
    }


def test_invite_is_tied_to_its_cause() -> None:
    outside = message(INVITE, f"Call-ID: {A}", cause=CAUSE)
    caused = message(INVITE, f"Call-ID: {B}", incoming=False, cause=CAUSE)
    text = outside + caused.replace("04241111", "04241178")
    assert tied(text) == {CAUSE, B}
    assert tied(text, Identifier("Call-ID", B)) == {CAUSE, A}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            message("NOTIFY sip:1@h SIP/2.0", f"Call-ID: {B}", f"Session-ID: {UUID}"),
            id="not a message of a call",
        ),
        pytest.param(
            message(INVITE, f"Call-ID: {B}", f"Session-ID: {NIL};remote={NIL}"), id="no session yet"
        ),
        pytest.param(message(INVITE, f"Call-ID: {A}0", f"Session-ID: {NIL}"), id="longer Call-ID"),
        pytest.param(message(INVITE, f"Call-ID: x{A}"), id="Call-ID within another"),
        pytest.param(
            message(INVITE, "Call-ID: wait", f"Replaces: {A};to-tag=1"), id="a word as Call-ID"
        ),
        pytest.param(
            message(INVITE, f"Call-ID: {B}", incoming=False, cause="1,100,150,1.1^*"), id="a timer"
        ),
        pytest.param(
            message(INVITE, f"Call-ID: {A}", "To: <sip:1@h>;tag=1", cause=CAUSE), id="re-INVITE"
        ),
        pytest.param(
            "19301624.000 |11:27:43.630 |AppInfo  |CI(19301624,77)\n", id="a line's number"
        ),
        pytest.param(
            "04241400.001 |11:27:43.630 |AppInfo  |calls CI=19301624 CI=19301630 CI=19301640\n",
            id="list of calls",
        ),
    ],
)
def test_what_ties_nothing(text: str) -> None:
    known = [KNOWN, FIRST, Identifier("signal", "1,100,150,1.1^*")]
    known += [Identifier("Session-ID", NIL), Identifier("Session-ID", UUID)]
    assert tied(text, *known) == set()


@pytest.mark.parametrize(
    "text",
    [
        message(INVITE, f"Call-ID: {A}0"),
        message(INVITE, f"Call-ID: 1{A}"),
        message(INVITE, f"Session-ID: {UUID}0"),
        "19301624.000 |11:27:43.630 |AppInfo  |dd=19301624 port 19301624 CI=193016240\n",
        message("NOTIFY sip:1@h SIP/2.0", f"Call-ID: {B}", cause=CAUSE),
    ],
)
def test_lines_of_others_are_not_shown(text: str) -> None:
    known = [KNOWN, FIRST, Identifier("Session-ID", UUID), Identifier("signal", CAUSE)]
    assert list(lines_of(CallSearch(known), text.encode())) == []


def test_transferred_call_is_followed() -> None:
    traces = Traces().write(others=120)
    files = [(node, text) for node, file in traces.files().items() for text in file.values()]
    call = Call(CALL_ID)
    while call.add([tie for _, text in files for tie in call.search().ties(text)]):
        pass
    search = call.search()
    shown = {(node, line) for node, text in files for line in lines_of(search, text)}
    assert shown == {(node, line) for node, _, line in traces.shown}
    assert not call.is_cut
    assert not call.too_common


@given(st.data())
def test_pieces_end_between_signals(data: st.DataObject) -> None:
    text = TRACE
    whole = list(lines_of(SEARCH, text))
    in_pieces = []
    while text:
        size = data.draw(st.integers(200, len(text)) if len(text) > 200 else st.just(len(text)))
        piece = text[: text.rfind(b"\n", 0, size) + 1] or text
        if len(piece) < len(text):
            piece = piece[: begin_of_last_signal(piece)] or text
        in_pieces += lines_of(SEARCH, piece)
        text = text[len(piece) :]
    assert in_pieces == whole


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 30), st.binary(max_size=4))))
def test_damaged_traces_are_read(damages: list[tuple[int, int, bytes]]) -> None:
    text = (
        TRACE
        + message(
            "REFER sip:1@h SIP/2.0",
            f"Call-ID: {A}",
            f"Session-ID: {UUID};remote={OTHER_UUID}",
            f"Refer-To: <sip:1003@h?Replaces={B.replace('@', '%40')}%3Bto-tag%3D1>",
        ).encode()
    )
    for at, size, damage in damages:
        text = text[:at] + damage + text[at + size :]
    search = CallSearch([KNOWN, FIRST])
    known = {KNOWN, FIRST}
    for tie in search.ties(text):
        assert tie.via in known
        known.add(tie.identifier)
    list(lines_of(search, text))


def test_shared_identifier_is_taken_back() -> None:
    call = Call(A)
    shared = Identifier("Session-ID", UUID)
    strangers = [Identifier("Call-ID", f"{n:04}@host") for n in range(MOST_TIED_BY_ONE + 1)]
    behind = Identifier("CI", "19301699")
    call.add([Tie(shared, KNOWN), Tie(FIRST, KNOWN), Tie(strangers[0], shared)])
    call.add([Tie(behind, strangers[0]), *(Tie(one, shared) for one in strangers)])
    assert call.identifiers == (KNOWN, FIRST)
    assert call.too_common == [shared]
    assert call.add([Tie(shared, FIRST)]) == []


def test_taken_back_is_not_learnt_again() -> None:
    text = message(INVITE, f"Call-ID: {A}", f"Session-ID: {UUID}").encode()
    assert list(CallSearch([KNOWN], [Identifier("Session-ID", UUID)]).ties(text)) == []


def test_endless_chain_is_cut() -> None:
    chain = [Identifier("Call-ID", f"{n:04}@host") for n in range(10 * MOST_IDENTIFIERS)]
    call = Call("0000@host")
    call.add(Tie(one, before) for before, one in pairwise(chain))
    assert call.is_cut
    assert call.identifiers == tuple(chain[:MOST_IDENTIFIERS])


def test_hostile_file_ends_at_limit() -> None:
    text = "".join(
        message(INVITE, f"Call-ID: {n:04}@host", f"Replaces: {n - 1:04}@host;to-tag=1").replace(
            "04241111", f"{n:08d}"
        )
        for n in range(1, 1000)
    )
    found = list(CallSearch([Identifier("Call-ID", "0000@host")]).ties(text.encode()))
    assert MOST_IDENTIFIERS <= len(found) <= 2 * MOST_IDENTIFIERS


def test_message_names_few_dialogs() -> None:
    named = "".join(f"<callid>{n:04}@host</callid>" for n in range(100))
    assert len(tied(message("REFER sip:1@h SIP/2.0", f"Call-ID: {A}", "", named))) < 20


@pytest.mark.parametrize("text", ["", "abc@h", "a b c d e", "x" * 257, "äöüß@host", "a@host\nb"])
def test_text_that_is_no_call_id(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Call-ID"):
        Call(text)


def test_whole_header_is_taken_for_call_id() -> None:
    assert Call(f" Call-ID: {A}\r\n").identifiers == (KNOWN,)


def lines_of(search: CallSearch, text: bytes) -> Iterator[str]:
    before = -1
    for at in search(text):
        assert at >= before
        before = at
        end = text.find(b"\n", at)
        yield text[text.rfind(b"\n", 0, at) + 1 : end if end >= 0 else len(text)].decode(
            errors="replace"
        )


TRACE = (
    message(INVITE, f"Call-ID: {A}", cause=CAUSE)
    + "04241138.000 |11:27:41.238 |SdlSig   |DaReq |wait |Da(1) |x |1^*^* |CI=19301624\n"
    '04241138.007 |11:27:41.238 |AppInfo  |Digit analysis: match(pi="2", dd="1001",dac="0")\n'
    "|CallingPartyNumber=1000\n"
    + message(ANSWER, f"Call-ID: {A}", OF_INVITE).replace("04241111", "04241139")
    + "04241140.000 |11:27:41.240 |SdlSig   |Other |wait |Da(1) |x |1^*^* |CI=19301699\n"
).encode()
SEARCH = CallSearch([KNOWN, FIRST])
