"""PURE. Turns a path that an SFTP client has sent into a tuple of plain names below the target.

If the names are opened one by one, without following a link, nothing outside the folder is reached.
"""

from __future__ import annotations

from cucmd.receiver.limits import ReceiverLimits, RequestRefused, Status

_NAME_BYTES = 255  # the longest name of a file on usual file systems
_NUMBER = len(".100")  # the most that `with_number` adds to a name

Parts = tuple[str, ...]


def split_path(path: bytes, limits: ReceiverLimits, extra_bytes: int = 0) -> Parts:
    """Splits a path into names. An absolute path is relative to the target, which itself is ().

    Raises RequestRefused for `..`, for more bytes or levels than the limits allow, and for a name
    that is not printable UTF-8, because names reach terminals, JSON and other file systems.

    A node's log names are ASCII. A path with other characters may only have a fifth of the length,
    because Python may keep five bytes in memory for each byte of it.

    extra_bytes: bytes by which the path may be longer than the limit.
    """
    max_bytes = limits.path_bytes if path.isascii() else limits.path_bytes // 5
    if len(path) > max_bytes + extra_bytes:
        raise RequestRefused(Status.FAILURE, f"path is longer than {max_bytes} bytes")
    names = [name for name in path.split(b"/") if name not in {b"", b"."}]
    if len(names) > limits.path_depth:
        raise RequestRefused(Status.FAILURE, f"path has more than {limits.path_depth} levels")
    return tuple(_name(name) for name in names)


def split_stored_path(path: str, limits: ReceiverLimits) -> Parts:
    """Splits a path below the target's folder, as the process of a connection names it.

    The path may be longer than a client's path by the number that `with_number` has added. Raises
    RequestRefused like `split_path`, and for a path that is not written in its plain form.
    """
    parts = split_path(path.encode(), limits, _NUMBER)
    if "/".join(parts) != path:
        raise RequestRefused(Status.FAILURE, "a path is not plain")
    return parts


def canonical_path(parts: Parts) -> bytes:
    """Returns an absolute path for the client, as if the target were the root of the disk."""
    return ("/" + "/".join(parts)).encode()


def with_number(name: str, number: int) -> str:
    """Returns `name` for the first file of that name, then `name.2`, `name.3`, within 255 bytes."""
    if number == 1:
        return name
    suffix = f".{number}"
    kept = name.encode()[: _NAME_BYTES - len(suffix)]
    return kept.decode(errors="ignore") + suffix


def _name(raw: bytes) -> str:
    if raw == b"..":
        raise RequestRefused(Status.PERMISSION_DENIED, "`..` is not allowed in a path")
    if len(raw) > _NAME_BYTES:
        raise RequestRefused(Status.FAILURE, f"a name is longer than {_NAME_BYTES} bytes")
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise RequestRefused(Status.FAILURE, "a name is not UTF-8") from None
    if not name.isprintable():
        raise RequestRefused(Status.FAILURE, "a name has control or other unprintable characters")
    return name
