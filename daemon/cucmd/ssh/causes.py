"""Turns errors of the system and of asyncssh into failures of a node.

Every message names host:port and the reason. Text from a node goes first through a `Mask` and then
through `printable`. The order matters: `printable` cuts long texts, and the mask would not find a
secret of which a part was cut off.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import TypeAlias

import asyncssh
import msgspec

from cucmd.failure import Code, NodeFailed, fail
from cucmd.node_name import address

# Returns a node's text without secrets, because a node may repeat the password in its messages.
# `str` is the mask for text that cannot have a secret.
Mask: TypeAlias = Callable[[str], str]

_BY_ERRNO = {
    errno.ECONNREFUSED: Code.CONNECTION_REFUSED,
    errno.ECONNRESET: Code.CONNECTION_LOST,
    errno.ECONNABORTED: Code.CONNECTION_LOST,
    errno.EPIPE: Code.CONNECTION_LOST,
}
# Characters of a list of algorithms in a message. A node of 2009 lists 600 characters of ciphers.
_OFFER_LIMIT = 1000
# Names in the list of key exchanges with these beginnings are flags and not algorithms.
_FLAGS = ("ext-info-", "kex-strict-")
# How asyncssh's messages begin.
_NOTHING_IN_COMMON = ("No matching", "Unable to find compatible")


class Progress(msgspec.Struct, frozen=True):
    """Tells how far a connection came before it failed.

    version_received: whether the peer has sent its SSH version.
    hash_prefix: the offers of both sides, from SSHConnection.get_hash_prefix().
    legacy: whether we offered legacy algorithms.
    authenticating: whether the key exchange was complete.
    refused: whether the node has refused our password.
    tried: the authentication methods that we used.
    asked: a prompt of the node that the password does not answer, or "".
    """

    version_received: bool
    hash_prefix: bytes
    legacy: bool
    authenticating: bool = False
    refused: bool = False
    tried: tuple[str, ...] = ()
    asked: str = ""


def printable(text: str, limit: int = 300) -> str:
    """Returns a node's text as one line of at most `limit` characters, without control characters.

    A message is shown on a terminal, and a node must not be able to control it.
    """
    clean = "".join(char if char.isprintable() else " " for char in text[: limit + 1])
    return clean if len(clean) <= limit else clean[:limit] + "…"


def unreachable(host: str, port: int, error: OSError | UnicodeError) -> NodeFailed:
    """Returns the failure for an exception of `trio.open_tcp_stream`."""
    if isinstance(error, socket.gaierror | UnicodeError):
        reason = getattr(error, "strerror", None) or "not a valid host name"
        return fail(
            Code.HOST_UNREACHABLE, f"cannot resolve the name of {address(host, port)}: {reason}"
        )
    # There is one error for each address of the host name. We report the last one.
    causes = [cause for cause in _leaves(error) if cause.errno is not None]
    number = causes[-1].errno if causes else None
    code = _BY_ERRNO.get(number or 0, Code.HOST_UNREACHABLE)
    reason = os.strerror(number) if number else printable(str(error))
    return fail(code, f"cannot connect to {address(host, port)}: {reason}")


def _leaves(error: BaseException) -> Iterator[OSError]:
    """Yields the OSErrors in `error`, which may be a group or have a cause."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    elif error.__cause__ is not None:
        yield from _leaves(error.__cause__)
    elif isinstance(error, OSError):
        yield error


def why_ended(error: BaseException | None, mask: Mask) -> str:
    """Returns the reason for the end of a connection, for messages that begin "host:port: "."""
    match error:
        case None:
            return "the connection was closed"
        case asyncssh.ConnectionLost() if "keepalive" in error.reason:
            return "no answer to keepalives"
        case asyncssh.ConnectionLost():
            return "the connection was lost"
        case asyncssh.DisconnectError() | asyncssh.ChannelOpenError():
            return printable(mask(error.reason))
        case OSError() if error.errno is not None:
            return os.strerror(error.errno)
        case _:
            return printable(mask(str(error)) or type(error).__name__)


def failed_login(
    node: tuple[str, int], username: str, error: Exception, progress: Progress, mask: Mask
) -> NodeFailed:
    """Returns the failure for an exception of asyncssh between an open socket and an open shell."""
    where, said = address(*node), why_ended(error, mask)
    if not progress.version_received:
        if isinstance(error, asyncssh.ProtocolError | asyncssh.ProtocolNotSupported):
            return fail(Code.NOT_A_NODE, f"{where} is not an SSH server: {said}")
        return fail(Code.CONNECTION_LOST, f"{where}, before its SSH version came: {said}")
    if not progress.authenticating:
        reason = missing_algorithm(progress.hash_prefix, mask)
        # asyncssh raises the same exception for other failures, such as a wrong signature. Their
        # messages begin with other words.
        if isinstance(error, asyncssh.KeyExchangeFailed) and error.reason.startswith(
            _NOTHING_IN_COMMON
        ):
            reason = reason or printable(mask(str(error)), _OFFER_LIMIT)
        if reason is None:
            return fail(Code.CONNECTION_LOST, f"{where}, during key exchange: {said}")
        hint = "this node has no such algorithm in common with cucmd, not even a legacy one"
        return fail(
            Code.NO_COMMON_ALGORITHM, f"{where}: {reason}", hint=hint if progress.legacy else None
        )
    # After too many refusals OpenSSH sends "Too many authentication failures" as a protocol error,
    # and other servers close the connection. Both count as a refused login, because another attempt
    # could lock the account.
    disconnected = error.reason.lower() if isinstance(error, asyncssh.DisconnectError) else ""
    refused = progress.refused or "authentication failures" in disconnected
    if isinstance(error, asyncssh.PermissionDenied) or refused:
        return _refused(where, username, error, progress, said)
    shell = isinstance(error, asyncssh.ChannelOpenError)
    at = " opened no shell" if shell else ", during login"
    return fail(Code.CONNECTION_LOST, f"{where}{at}: {said}")


def _refused(
    where: str, username: str, error: Exception, progress: Progress, said: str
) -> NodeFailed:
    """Returns the failure for a login that the node has refused."""
    who = printable(username, 64)
    if not progress.tried:
        return fail(
            Code.AUTH_FAILED,
            f"{where} asked {who} for no password: it offers neither password nor "
            "keyboard-interactive authentication",
        )
    tried = " and ".join(progress.tried)
    reason = f": {said}" if not isinstance(error, asyncssh.PermissionDenied) else ""
    if progress.asked:
        reason += f": it asked {progress.asked!r}"
    return fail(Code.AUTH_FAILED, f"{where} refused the login of {who} (tried {tried}){reason}")


def missing_algorithm(hash_prefix: bytes, mask: Mask) -> str | None:
    """Returns for which purpose the two sides have no algorithm in common, with both offers.

    Returns None if each purpose has a common algorithm, or if the node has sent no offer. This is
    the only way to learn the reason if there is no common host key type, because OpenSSH then
    closes the connection without a message.

    hash_prefix: two version strings and two KEXINIT packets (RFC 4253, 7.1), the client's first.
    """
    ours, theirs = both_offers(hash_prefix)
    if not ours or not theirs:
        return None
    for purpose, names in ours.items():
        common = [name for name in names if name in theirs[purpose]]
        if purpose == "cipher" and common and ("-gcm@" in common[0] or "poly1305" in common[0]):
            return None  # this cipher needs no MAC, and only the MACs are left to compare
        if not common:
            return (
                f"no common {purpose} algorithm: we offer {_listed(names, str)}; "
                f"the node offers {_listed(theirs[purpose], mask)}"
            )
    return None


def both_offers(hash_prefix: bytes) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Returns our offer and the node's, by purpose. An offer that was not sent is empty."""
    strings = [*_strings(hash_prefix), b"", b"", b"", b""]
    return _offers(strings[2]), _offers(strings[3])


def _offers(packet: bytes) -> dict[str, list[str]]:
    """Returns the lists of names in a KEXINIT packet, by purpose.

    The packet has one byte of type, 16 of cookie, and ten lists. We look at the ciphers and MACs of
    one direction only, because servers use the same for both.
    """
    lists = [item.decode("ascii", "replace").split(",") for item in _strings(packet[17:])]
    if len(lists) < 10:
        return {}
    return {
        "key exchange": [name for name in lists[0] if not name.startswith(_FLAGS)],
        "host key": lists[1],
        "cipher": lists[2],
        "MAC": lists[4],
    }


def _strings(data: bytes) -> Iterator[bytes]:
    """Yields the complete strings in `data`. Before each string are four bytes with its length."""
    while len(data) >= 4:
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            return
        yield data[4 : 4 + size]
        data = data[4 + size :]


def _listed(names: list[str], mask: Mask) -> str:
    return printable(mask(", ".join(names)) or "nothing", _OFFER_LIMIT)
