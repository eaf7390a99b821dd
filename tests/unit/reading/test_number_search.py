"""Lines with a number. The samples are of the sources that the module names, shortened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.reading.number_search import NumberSearch

MARKED = [
    b'04241138.007 |11:27:41.238 |AppInfo  |Digit analysis: match(pi="2", fqcn="1", cn="{}",plv',
    b'04241138.007 |11:27:41.238 |AppInfo  |Digit analysis: match(pi="2", fqcn="{}", cn="",plv="5"',
    b'15:20:21.421 CCM|Digit analysis: match(fqcn="", cn="1001", pss="", dd="{}")',
    b"04241138.009 |11:27:41.238 |AppInfo  ||PretransformCallingPartyNumber={}",
    b"|CallingPartyNumber={}",
    b"|DialingPattern={}",
    b"|DialingPattern=9.{}",
    rb"|DialingPattern=\+{}",
    b"|DialingPatternRegularExpression=({})",
    b"|FullyQualifiedCalledPartyNumber={}",
    b"|PretransformPositionalMatchList={}",
    b"|CollectedDigits={}\r",
    b"[R:N-H:0,N:1,L:0,V:0,Z:0,D:0] CI=31614359 cgpn=tn=0npi=0ti=1nd={}pi=1si1 cgpnVM= unXcgpn=",
    b"[R:N-H:0,N:1,L:0,V:0,Z:0,D:0] CI=31614359 cgPart= cgPat={} cgpn=tn=0npi=0ti=1nd=",
    b"DD=tn=0npi=1ti=1nd=User={}Host=10.106.87.135Port=5060",
    b"AsyncResponse=6046 LH=1|1063 GCH=1|29125 CalledPartyInfo={} MediaDeviceName =  ",
    b"Digit analysis: wait_DmPidRes- Partition=[] Pattern=[{}] Where=[],cmDeviceType=[UserDevice]",
    b"forkingPos=[2];forkingGuid=[694646BC1D2311E7];resDevNum=[{}]",
    b"Digit Analysis: star_DaReq: Matching Legacy Numeric, digits={}",
    b"StationD - stationOutputDisplayText tcpHandle=0x6b88028, Display= {} ",
    b"TotalLines=1 LineCount=1 MoreLines=F DN = {} Part =  PkGpDN =  PkGpPart = ",
    b"INVITE sip:{}@10.48.38.5;user=phone SIP/2.0",
    b'From: "SJ User 1" <sip:{}@10.48.38.5>;tag=38ed18552a12296c00ff41e8-5fb7856e',
    b"To: <sips:{}@cucm.example.com>",
    b"To: <sip:%2B{}@cucm.example.com>",
    b"P-Asserted-Identity: <tel:{}>",
    b"Remote-Party-ID: <sip:1@10.48.38.5;x-cisco-callback-number={}>;party=calling;screen=yes",
    b"From: <sip:9@10.0.0.1;x-nearend;x-refci=38960750;x-nearendaddr={};x-farendaddr=9>;tag=1",
    b"2019/07/04  14:37:15.142|CC|SETUP|55808087|55808096|user@domain.com|{}|00919888654",
    b"2018/04/28_15:22:30.912|CC|SETUP| 20381230|20381231|1111|2222|{} |",
    b'1,1,5000123,30100001,1761679810,1,0,-1,"{}","",16,',
]


@pytest.mark.parametrize("line", MARKED)
def test_number_in_marked_place(line: bytes) -> None:
    assert lines_with("7021004", line.replace(b"{}", b"7021004")) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"07021004.000 |21:53:46.259 |SdlSig   |DbObjectCacheTimer |initialized",
        b"28131995.000 |21:53:46.259 |SdlSig   |Tick |wait |1,100,14,7021004.7^10.0.0.1^*",
        b"From: <sip:1@10.48.38.5>;tag=7021004~e650e088-60ba-4195-8387-3dcc0127efdc-17021004",
        b"Call-ID: 7021004-d6514bed-327f-526300e@10.48.38.5",
        b"remotePortNumber=7021004 passThruPartyID=7021004 FileNumber: 7021004",
        b"INVITE sip:170210045@10.48.38.5 SIP/2.0",
        b"2018/04/28_15:22:30.912|CCM|7021004|",
        b"To: <sip:10.70.210.04>",
        b'alias "7021004" pkid="7021004"',
    ],
)
def test_digits_without_mark(line: bytes) -> None:
    assert lines_with("7021004", line) == 0


@pytest.mark.parametrize(
    ("asked", "written", "is_same"),
    [
        ("7021004", "+49307021004", True),
        ("7021004", "97021004", True),
        ("7021004", "00493070210047", False),
        ("+49 (30) 702-1004", "7021004", True),
        ("+49307021004", "0307021004", True),
        ("+49307021004", "0049307021004", True),
        ("0049307021004", "+49307021004", True),
        ("+49307021004", "+437021004", False),
        ("+7021004", "+49307021004", False),
        ("49307021004", "+307021004", False),
        ("+49307021004", "1004", False),
        ("+49307021004", "+7021004", False),
        ("1000", "+14085251000", True),
        ("100", "5100", False),
        ("100", "100", True),
        ("0115", "10.10.0.115", False),
        ("*21#", "*21#", True),
    ],
)
def test_numbers_that_are_the_same(asked: str, written: str, is_same: bool) -> None:
    assert lines_with(asked, b"To: <sip:%s@cucm.example.com>" % written.encode()) == is_same


@pytest.mark.parametrize("asked", ["", "1", "70x", "٣٤٥٦", "+", "1" * 33, "10+04"])
def test_text_that_is_no_number(asked: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        NumberSearch(asked)


@given(st.lists(st.sampled_from([*MARKED, b"", b"7021004", b'dd="70210045"']), max_size=12))
def test_each_line_by_itself(lines: list[bytes]) -> None:
    lines = [line.replace(b"{}", b"7021004") for line in lines]
    piece = b"".join(line + b"\n" for line in lines)
    found = {piece.count(b"\n", 0, at) for at in NumberSearch("7021004")(piece)}
    assert found == {number for number, line in enumerate(lines) if lines_with("7021004", line)}


def lines_with(number: str, line: bytes) -> int:
    return len(list(NumberSearch(number)(line)))
