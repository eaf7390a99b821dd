import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmmask.masks import Masks

MASKS = Masks(b"a key of the company")
DIGITS = st.text("0123456789", min_size=1, max_size=15)
WORDS = st.text(st.characters(categories=["Lu", "Ll"], max_codepoint=0x4FF), min_size=1)
MAC = st.text("0123456789abcdef", min_size=12, max_size=12)
IN_NETWORK_10 = st.binary(min_size=3, max_size=3).map(lambda rest: b"\x0a" + rest)
PRIVATE = [ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def masked(address: str) -> str:
    return str(ip_address(MASKS.address(ip_address(address).packed)))


def common(one: str, other: str) -> int:
    """Returns how many characters at the beginning are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def bits(address: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in address)


@given(DIGITS, DIGITS)
def test_numbers_keep_common_prefix(one: str, other: str) -> None:
    assert common(MASKS.number(one), MASKS.number(other)) == common(one, other)


@given(DIGITS)
def test_every_digit_changes(number: str) -> None:
    mask = MASKS.number(number)
    assert re.fullmatch("[0-9]+", mask)
    assert [a for a, b in zip(mask, number, strict=True) if a == b] == []


def test_signs_of_patterns_stay() -> None:
    assert re.fullmatch(r"\d\.\d{4}\[2-9\]XXX!", MASKS.number("8.1915[2-9]XXX!"))
    assert MASKS.number("+1408") == "+" + MASKS.number("1408")


@given(IN_NETWORK_10, IN_NETWORK_10)
def test_addresses_share_as_many_bits(one: bytes, other: bytes) -> None:
    masks = bits(MASKS.address(one)), bits(MASKS.address(other))
    if one[:3] == other[:3]:  # zeros at the beginning of the last octet stay zeros
        assert common(*masks) >= 24
        assert (masks[0] == masks[1]) == (one == other)
    else:
        assert common(*masks) == common(bits(one), bits(other))


@given(st.ip_addresses(v=4))
def test_private_addresses_stay_private(address: IPv4Address) -> None:
    mask = IPv4Address(MASKS.address(address.packed))
    for network in PRIVATE:
        assert (mask in network) == (address in network)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_different_addresses_have_different_masks(one: IPv4Address, other: IPv4Address) -> None:
    assert (MASKS.address(one.packed) == MASKS.address(other.packed)) == (one == other)


@given(st.integers(0, 15), st.binary(min_size=3, max_size=3))
def test_leading_zero_of_last_octet_stays(last: int, network: bytes) -> None:
    mask = MASKS.address(b"\x0a" + network[:2] + bytes([last]))
    assert mask[3] < 16
    assert (mask[3] == 0) == (last == 0)


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "255.255.255.0", "239.1.1.1", "::1"])
def test_special_addresses_stay(address: str) -> None:
    assert masked(address) == address


@given(st.ip_addresses(v=6))
def test_written_ipv6_keeps_length(address: IPv6Address) -> None:
    if address.ipv4_mapped is None:
        assert len(masked(str(address))) == len(str(address))


def test_mapped_address_has_mask_of_ipv4() -> None:
    assert masked("::ffff:10.1.2.3") == str(ip_address("::ffff:" + masked("10.1.2.3")))


@given(MAC, MAC)
def test_macs_keep_vendor(one: str, other: str) -> None:
    masks = MASKS.mac(one), MASKS.mac(other)
    assert (masks[0][:6] == masks[1][:6]) == (one[:6] == other[:6])
    assert (masks[0] == masks[1]) == (one == other)
    assert re.fullmatch("[0-9a-f]{12}", masks[0])


@given(WORDS)
def test_words_keep_length_and_case(word: str) -> None:
    mask = MASKS.name(word)
    assert len(mask.encode()) == len(word.encode())
    assert [letter.isupper() for letter in mask] == [letter.isupper() for letter in word]


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1), st.text("abcdefghijklmnopqrstuvwxyz"))
def test_different_words_have_different_masks(one: str, other: str) -> None:
    assert (MASKS.name(one) == MASKS.name(other)) == (one == other)


def test_case_does_not_change_mask() -> None:
    assert MASKS.name("Doe") == MASKS.name("DOE").title() == MASKS.name("doe").title()


def test_words_of_a_name_keep_their_masks() -> None:
    first, last = MASKS.name("Jane"), MASKS.name("Doe")
    assert MASKS.name("10048 - Doe, Jane") == f"{MASKS.number('10048')} - {last}, {first}"


def test_another_key_gives_other_masks() -> None:
    other = Masks(b"another key")
    address = IPv4Address("10.1.2.3").packed
    assert other.number("9110001") != MASKS.number("9110001")
    assert other.address(address) != MASKS.address(address)
    assert other.mac("38ed18552a12") != MASKS.mac("38ed18552a12")
    assert other.name("Jane") != MASKS.name("Jane")
