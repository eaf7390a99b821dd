"""The stamps of each format that is known, and none where one cannot be certain.

The samples are of the sources that vos/NODES.md, section 7.1, names, shortened.
"""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.reading.stamps import FirstStamp, LastStamp, Stamp, first_stamp

BY = datetime(2026, 11, 25, 15, 30)
SDL = (
    b"28131994.000 |21:53:46.259 |FileHead |UTC:-05:00,Date: 2024/08/12, AppName: CCM, "
    b"AppId: 100, HostName: pub, FileNumber: 1262, TraceVer: 3.0\n"
    b"28131995.000 |21:53:46.300 |SdlSig   |DbObjectCacheTimer    |initialized\n"
)
SAMPLES = {
    "sdl": (SDL, datetime(2024, 8, 12, 21, 53, 46)),
    "sdi": (
        b"07/21/2006 13:15:39.763 CCM|StationInit: (0000188) TimeDateReq.|<:CLUSTER>\n",
        datetime(2006, 7, 21, 13, 15, 39),
    ),
    "call log, setup": (
        b"2018/04/28_15:22:30.912|CC|SETUP| 20381230|20381231|1111|2222|2222 |\n",
        datetime(2018, 4, 28, 15, 22, 30),
    ),
    "call log, sip": (
        b"2009/12/17 10:45:00.949|SIPL|0|TCP|IN|192.0.2.45|58096|SEP0|192.0.2.4|5060|1|T|g|BYE\n",
        datetime(2009, 12, 17, 10, 45),
    ),
    "log4j": (
        b"2019-03-09 13:32:16,109 INFO  [http-bio-443-exec-6 ] DBRequestor - 1:Querying\n",
        datetime(2019, 3, 9, 13, 32, 16),
    ),
    "syslog": (
        b"Nov 25 14:07:12 cucm-pub daemon 6 systemd: Started Session 12 of user root.\n",
        datetime(2026, 11, 25, 14, 7, 12),
    ),
    "syslog, a day of one digit": (
        b"Nov  5 04:07:12 cucm-pub user 4 : x\n",
        datetime(2026, 11, 5, 4, 7, 12),
    ),
    "syslog, an alarm of an endpoint": (
        b"Nov  2 16:02:31 ucm-a local7 3 : 977: ucm-a.example.net Nov 02 2026 15:02:31 UTC :  "
        b" %UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEP0][Protocol=SIP]\n",
        datetime(2026, 11, 2, 16, 2, 31),
    ),
    "syslog, an alarm of the service manager": (
        b"Nov 18 09:40:52 ucm-a local7 6 : 14: Nov 18 08:40:52.630 UTC : %CCM_SERVICEMANAGER-"
        b"SERVICEMANAGER-6-ServiceActivated: Service Activated.\n",
        datetime(2026, 11, 18, 9, 40, 52),
    ),
    "sdl, of 15": (
        b"00518003.000 |08:01:59.700 |FileHead |UTC:+00:00,Date: 2026/11/20, AppName: CCM, "
        b"HostIPAddress: ::ffff:192.0.2.141, AppStartTime: 2026/11/16 10:00:00, FileNumber: 7\n"
        b"00518004.000 |08:01:59.700 |SdlSig   |DbObjectCacheTimer    |initialized\n",
        datetime(2026, 11, 20, 8, 1, 59),
    ),
    "mivr": (
        b"7091923: Nov 20 10:43:59.435 EDT %MIVR-ICD_CTI-7-UNK: CSOutboundMsgProcessor: got\n",
        datetime(2026, 11, 20, 10, 43, 59),
    ),
    "emergency responder": (
        b"412: Nov  3 09:15:44.018 CET %CER-CER_PHONETRACKINGENGINE-7-DEBUG:SnmpSocket-7:got\n",
        datetime(2026, 11, 3, 9, 15, 44),
    ),
    "cuic": (
        b"0000000071: 198.51.100.40: May 06 2019 07:45:13.002 +0200: %CCBU____CUIC-4-WARN: slow\n",
        datetime(2019, 5, 6, 7, 45, 13),
    ),
    "ccbu, an empty address": (
        b"0000912204:: May  6 2019 23:59:59.999 +0000: %CCBU____FEEDS-3-MAIL: %[FEED_ID=7]\n",
        datetime(2019, 5, 6, 23, 59, 59),
    ),
    "ccbu, an address of IPv6": (
        b"9: 2001:db8::9: Dec 31 2018 08:00:01.000 +0545: %CCBU_x-6-DONE: a\n",
        datetime(2018, 12, 31, 8, 0, 1),
    ),
    "finesse": (
        b"Oct 02 2015 06:11:07.120 -0700: %CCBU_pool-2-thread-1-6-QUEUE: %[count=9]: a round\n",
        datetime(2015, 10, 2, 6, 11, 7),
    ),
}
NO_STAMPS = {
    "empty": b"",
    "text": b"Nothing has a time here.\nAt 10:45 somebody said 2009/12/17.\n",
    "sdl without its header": SDL.split(b"\n", 1)[1],
    "a time of day alone": b"14:07:12.345 |risdc started\n",
    # Of the line before it may be days.
    "the audit application": b"04:21:58.301 |LogMessage   UserID : ada  Severity : 5\n",
    "ccbu with an offset that no clock has": (
        b"7:: May 06 2019 07:45:13.002 +2500: %CCBU_x-6-DONE: a\n"
    ),
    "ccbu without an offset": b"7:: May 06 2019 07:45:13.002: %CCBU_x-6-DONE: a\n",
    "the 31st of June in ccbu": b"7:: Jun 31 2019 07:45:13.002 +0200: %CCBU_x-6-DONE: a\n",
    "a stamp within a line": b"at 2019-03-09 13:32:16,109 INFO\n",
    "25 o'clock": b"2019-03-09 25:32:16,109 INFO x\n",
    "the 31st of November": b"Nov 31 14:07:12 cucm-pub x\n",
    "a month of the wrong side": b"21/07/2006 13:15:39.763 CCM|x\n",
    "before there were appliances": b"1970/01/01 00:00:00.000|SIPL|0|\n",
    "an offset that no clock has": SDL.replace(b"-05:00", b"-25:00"),
    "no text": b"\0\x01\n2019-03-09 13:32:16,109 INFO  [x] a capture has lines of logs in it\n",
}


def last_of(text: bytes, size: int, by: datetime = BY) -> Stamp | None:
    """Finds the last stamp, read in pieces of `size`."""
    first = first_stamp(text, by)
    assert first is not None
    last = LastStamp(first, by)
    for start in range(0, len(text), size):
        last.feed(text[start : start + size])
    return last.end()


def times_of(head: bytes, *times: str) -> bytes:
    """Makes an SDL file with a line at each of these times."""
    lines = (b"00000001.000 |%s.000 |AppInfo  |x\n" % time.encode() for time in times)
    return head.split(b"\n")[0] + b"\n" + b"".join(lines)


@pytest.mark.parametrize(("text", "moment"), SAMPLES.values(), ids=SAMPLES)
def test_the_first_stamp(text, moment):
    found = first_stamp(b"a line before it\n" + text, BY)
    assert found is not None
    assert found.stamp.local == moment


@pytest.mark.parametrize("text", NO_STAMPS.values(), ids=NO_STAMPS)
def test_no_uncertain_stamp(text):
    assert first_stamp(text, BY) is None


def test_sdl_has_an_offset():
    found = first_stamp(SDL, BY)
    assert found == FirstStamp(Stamp(datetime(2024, 8, 12, 21, 53, 46), -timedelta(hours=5)), "sdl")
    east = first_stamp(SDL.replace(b"-05:00", b"+05:30"), BY)
    assert east is not None
    assert east.stamp.offset == timedelta(hours=5, minutes=30)


@pytest.mark.parametrize(
    ("name", "offset"),
    [("cuic", 120), ("ccbu, an empty address", 0), ("finesse", -420)],
)
def test_ccbu_has_an_exact_offset(name, offset):
    text, moment = SAMPLES[name]
    assert last_of(text, 7) == Stamp(moment, timedelta(minutes=offset), exact=True)


@pytest.mark.parametrize(
    ("line", "by", "year"),
    [
        ("Nov 25 14:07:12", BY, 2026),
        ("Dec 27 14:07:12", datetime(2027, 1, 10), 2026),
        ("Nov 26 14:07:12", BY, 2026),  # a zone ahead of UTC
        ("Jan  1 00:30:00", datetime(2026, 12, 31, 23), 2027),
        ("Nov 28 14:07:12", BY, None),  # of last year, or of a clock that is three days ahead
        ("Jan 10 14:07:12", BY, 2026),
        ("Feb 29 14:07:12", datetime(2028, 3, 1), 2028),
        ("Feb 29 14:07:12", datetime(2029, 1, 10), 2028),
        ("Feb 29 14:07:12", BY, None),
    ],
)
def test_a_missing_year(line, by, year):
    found = first_stamp(f"{line} cucm-pub x\n".encode(), by)
    assert (found.stamp.local.year if found else None) == year


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize(("text", "moment"), SAMPLES.values(), ids=SAMPLES)
def test_the_last_stamp_at_every_split(text, moment, size):
    last = last_of(text + b"a line without a time\n" + text + b"and one that is cut", size)
    assert last is not None
    assert last.local == moment.replace(microsecond=0)


def test_sdl_counts_midnights():
    last = last_of(times_of(SDL, "23:59:59", "00:00:01", "12:00:00", "11:59:59", "09:00:00"), 64)
    assert last == Stamp(datetime(2024, 8, 14, 9))  # the offset may have changed since


def test_lines_out_of_order_at_midnight():
    last = last_of(times_of(SDL, "23:59:59", "00:00:00", "23:59:59", "00:00:02"), 64)
    assert last is not None
    assert last.local == datetime(2024, 8, 13, 0, 0, 2)


def test_a_clock_set_back_begins_no_day():
    last = last_of(times_of(SDL.replace(b"21:53", b"01:53"), "02:59:59", "02:00:00"), 64)
    assert last is not None
    assert last.local == datetime(2024, 8, 12, 2)


def test_a_later_sdl_header():
    last = last_of(SDL + SDL.replace(b"2024/08/12", b"2024/08/15"), 64)
    assert last is not None
    assert last.local.day == 15


def test_a_long_line_is_one_line():
    long = b"x" * 5000 + b"2019-03-09 23:00:00,000 INFO\n"
    text = b"2019-03-09 13:32:16,109 INFO  [x] " + long
    assert last_of(text, 1000) == Stamp(datetime(2019, 3, 9, 13, 32, 16))


def test_no_line_has_no_last_stamp():
    first = first_stamp(SAMPLES["log4j"][0], BY)
    assert first is not None
    last = LastStamp(first, BY)
    last.feed(b"nothing here\n")
    assert last.end() is None


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([text for text, _ in SAMPLES.values()]),
            st.from_regex(rb"\d{8}\.\d{3} \|\d\d:\d\d:\d\d\.\d{3} \|", fullmatch=True),
            st.from_regex(
                rb"(?:[A-Z][a-z]{2} \d\d|\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d[,. ]\d{3} ",
                fullmatch=True,
            ),
        )
    ),
    st.integers(1, 50),
)
def test_no_bytes_raise(parts, size):
    text = b"\n".join(parts)
    first = first_stamp(text, BY)
    if first is not None:
        last_of(text, size)
