"""Call detail records and other tables, in which only the first line says what a value is."""

from ipaddress import IPv4Address

from cucmmask.masks import Masks
from cucmmask.table import table_of
from cucmmask.text import Text

MASKS = Masks(b"a key of the company")
HEAD = (
    '"cdrRecordType","globalCallID_callId","origIpAddr","callingPartyNumber",'
    '"callingPartyUnicodeLoginUserID","origCause_value","callingPartyNumberPartition",'
    '"origDeviceName","dateTimeConnect"\r\n'
    "INTEGER,INTEGER,INTEGER,VARCHAR(50),VARCHAR(128),INTEGER,VARCHAR(50),VARCHAR(129),INTEGER\r\n"
)


def mask(text: str) -> str:
    collected = Text(MASKS)
    table = table_of(text)
    assert table is not None

    def collect(part: str) -> str:
        collected.collect(part)
        return ""

    assert table.change(text, collect) == ""
    masker = Text(MASKS, collected.found)
    return table_of(text).change(text, masker.mask)  # type: ignore[union-attr]


def test_columns_are_masked() -> None:
    number, user = MASKS.number("2001"), MASKS.name("jdoe")
    partition, mac = MASKS.name("A B, C"), MASKS.mac("38ed18552a12").upper()
    row = '1,2001,0,"2001","jdoe",16,"A B, C","SEP38ED18552A12",1601000000\r\n'
    assert mask(HEAD + row) == (
        f'{HEAD}1,2001,0,"{number}","{user}",16,"{partition}","SEP{mac}",1601000000\r\n'
    )


def test_address_is_a_number() -> None:
    """10.20.30.140 is 0x8C1E140A, which is negative."""
    masked = mask(HEAD + '1,2,-1944185846,"","",0,"","",0\r\n')
    address = int(masked.splitlines()[2].split(",")[2]).to_bytes(4, "little", signed=True)
    assert address == MASKS.address(IPv4Address("10.20.30.140").packed)


def test_names_of_columns_may_have_numbers() -> None:
    masked = mask("Device Name,Description,Directory Number 1,User ID 1\nA,B,4011,jdoe\n")
    assert masked.endswith(f",{MASKS.number('4011')},{MASKS.name('jdoe')}\n")


def test_line_with_strange_quotes_is_text() -> None:
    text = f'{HEAD}"a"b,"2001\n'
    assert mask(text) == text


def test_other_text_is_no_table() -> None:
    assert table_of("device, number, and name\n") is None
    assert table_of('"(PDH-CSV 4.0)","a","b","c"\n') is None
    assert table_of("10,20,30,40\n") is None
