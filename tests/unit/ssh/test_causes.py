"""Each error of a connection has its code, and a text that is safe on a terminal."""

import errno
import socket

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cucmd.ssh.causes import (
    Progress,
    both_offers,
    failed_login,
    missing_algorithm,
    unreachable,
    why_ended,
)
from cucmd.vos.secrets import Secrets

ADDRESS = ("node.example", 22)
CONNECTED = Progress(version_received=False, hash_prefix=b"", legacy=False)
VERSION_RECEIVED = Progress(version_received=True, hash_prefix=b"", legacy=False)


def logging_in(*tried: str, refused: bool = False) -> Progress:
    return Progress(
        version_received=True,
        hash_prefix=b"",
        legacy=False,
        authenticating=True,
        refused=refused,
        tried=tried,
    )


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def kexinit(kex: str, host_key: str, cipher: str, mac: str) -> bytes:
    lists = [kex, host_key, cipher, cipher, mac, mac, "none", "none", "", ""]
    return b"\x14" + bytes(16) + b"".join(string(item.encode()) for item in lists) + bytes(5)


def prefix(ours: bytes, theirs: bytes) -> bytes:
    return b"".join(map(string, (b"SSH-2.0-a", b"SSH-2.0-b", ours, theirs)))


OURS = kexinit("ecdh-sha2-nistp256,ext-info-c", "rsa-sha2-256", "aes128-ctr", "hmac-sha2-256")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), "connection_refused", "refused"),
        (OSError(errno.EHOSTUNREACH, ""), "host_unreachable", "No route to host"),
        (OSError(errno.ENETUNREACH, ""), "host_unreachable", "unreachable"),
        (OSError(errno.ECONNRESET, ""), "connection_lost", "reset"),
        (OSError("no addresses"), "host_unreachable", "no addresses"),
        (socket.gaierror(-2, "Name or service not known"), "host_unreachable", "cannot resolve"),
        (UnicodeError("label too long"), "host_unreachable", "cannot resolve"),
    ],
)
def test_failed_connect_has_code_and_reason(error, code, words):
    failure = unreachable("node.example", 22, error).failure
    assert failure.code == code
    assert "node.example:22" in failure.message
    assert words in failure.message
    assert failure.retryable


def test_last_address_gives_the_reason():
    first, last = OSError(errno.ENETUNREACH, ""), OSError(errno.ECONNREFUSED, "")
    error = OSError("all attempts to connect failed")
    error.__cause__ = ExceptionGroup("", [first, ExceptionGroup("", [last])])
    assert unreachable("node.example", 22, error).failure.code == "connection_refused"


@pytest.mark.parametrize(
    ("error", "progress", "code", "words"),
    [
        (asyncssh.ProtocolError("Banner line too long"), CONNECTED, "not_a_node", "no"),
        (asyncssh.ConnectionLost("x"), CONNECTED, "connection_lost", "before its SSH version came"),
        (asyncssh.ConnectionLost("x"), VERSION_RECEIVED, "connection_lost", "during key exchange"),
        (
            asyncssh.KeyExchangeFailed("Key exchange hash mismatch"),
            VERSION_RECEIVED,
            "connection_lost",
            "hash mismatch",
        ),
        (
            asyncssh.KeyExchangeFailed("No matching encryption algorithm found"),
            VERSION_RECEIVED,
            "no_common_algorithm",
            "No matching encryption",
        ),
        (asyncssh.PermissionDenied("x"), logging_in("password"), "auth_failed", "tried password"),
        (asyncssh.PermissionDenied("x"), logging_in(), "auth_failed", "offers neither password"),
        (
            asyncssh.ProtocolError("Too many authentication failures"),
            logging_in("password"),
            "auth_failed",
            "Too many",
        ),
        (
            asyncssh.ConnectionLost("x"),
            logging_in("password", refused=True),
            "auth_failed",
            "connection was lost",
        ),
        (asyncssh.ConnectionLost("x"), logging_in("password"), "connection_lost", "during login"),
        (
            asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "too many sessions"),
            logging_in("password"),
            "connection_lost",
            "opened no shell: too many sessions",
        ),
    ],
)
def test_failed_login_has_code_and_reason(error, progress, code, words):
    failure = failed_login(ADDRESS, "administrator", error, progress, str).failure
    assert failure.code == code
    assert "node.example:22" in failure.message
    assert words in failure.message
    # A login that is tried again can lock the account.
    assert failure.retryable == (code == "connection_lost")


@pytest.mark.parametrize(
    ("legacy", "hint"),
    [(False, "set ssh.legacy_algorithms = true"), (True, "not even a legacy one")],
)
def test_hint_names_legacy_algorithms(legacy, hint):
    progress = replace(VERSION_RECEIVED, legacy=legacy)
    error = asyncssh.KeyExchangeFailed("No matching encryption algorithm found")
    failure = failed_login(ADDRESS, "administrator", error, progress, str).failure
    assert failure.hint.endswith(hint)


@pytest.mark.parametrize(
    ("purpose", "ours", "theirs"),
    [
        ("key exchange", "ecdh-sha2-nistp256", "diffie-hellman-group1-sha1"),
        ("host key", "rsa-sha2-256", "ssh-rsa"),
        ("cipher", "aes128-ctr", "3des-cbc"),
        ("MAC", "hmac-sha2-256", "hmac-md5"),
    ],
)
def test_missing_algorithm_names_both_offers(purpose, ours, theirs):
    offer = OURS.replace(string(ours.encode()), string(theirs.encode()))
    if purpose == "key exchange":
        offer = kexinit(theirs, "rsa-sha2-256", "aes128-ctr", "hmac-sha2-256")
    assert missing_algorithm(prefix(OURS, offer), str) == (
        f"no common {purpose} algorithm: we offer {ours}; the node offers {theirs}"
    )


def test_common_algorithms_give_no_reason():
    assert missing_algorithm(prefix(OURS, OURS), str) is None
    gcm = kexinit("ecdh-sha2-nistp256", "rsa-sha2-256", "aes128-gcm@openssh.com", "a")
    other = kexinit("ecdh-sha2-nistp256", "rsa-sha2-256", "aes128-gcm@openssh.com", "b")
    assert missing_algorithm(prefix(gcm, other), str) is None


def test_flag_is_no_common_algorithm():
    ours = kexinit("a,kex-strict-c-v00@openssh.com", "k", "c", "m")
    theirs = kexinit("b,kex-strict-c-v00@openssh.com", "k", "c", "m")
    assert (missing_algorithm(prefix(ours, theirs), str) or "").startswith("no common key exchange")


@given(st.binary(max_size=400))
def test_any_packet_is_parsed(packet):
    reason = missing_algorithm(prefix(OURS, packet), str)
    assert reason is None or (reason.isprintable() and len(reason) < 3000)
    both_offers(packet)


@given(st.text(max_size=400))
def test_reason_has_no_control_characters(text):
    words = why_ended(asyncssh.DisconnectError(asyncssh.DISC_BY_APPLICATION, text), str)
    assert words.isprintable() or words == ""
    assert len(words) <= 301


SECRET = "Xyzzy horse battery"
MASK = Secrets((SECRET,)).mask


@pytest.mark.parametrize(
    "progress", [CONNECTED, VERSION_RECEIVED, logging_in("password", refused=True)]
)
@pytest.mark.parametrize("led_to", [0, *range(275, 301)])  # 300 are shown
def test_repeated_password_is_masked(progress, led_to):
    reason = f"{'.' * led_to}{SECRET} is locked"
    for error in (
        asyncssh.DisconnectError(asyncssh.DISC_BY_APPLICATION, reason),
        asyncssh.KeyExchangeFailed(reason),
        asyncssh.KeyExchangeFailed(f"No matching {reason}"),
        asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, reason),
        ValueError(reason),
    ):
        failure = failed_login(ADDRESS, "administrator", error, progress, MASK).failure
        assert SECRET[0] not in failure.message


def test_password_among_algorithms_is_masked():
    reason = missing_algorithm(prefix(OURS, kexinit(SECRET, "a", "b", "c")), MASK)
    assert reason is not None
    assert reason.endswith("the node offers *****")
