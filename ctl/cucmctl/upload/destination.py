"""PURE. Turns what was typed as the destination of an upload into the address of the new file.

Facts about the vendor's Customer eXperience Drive (CXD): the user is the number of the case, the
password is the upload token of the case, files are sent by PUT to `https://cxd.cisco.com/home/NAME`
(from "Customer File Uploads to Cisco Technical Assistance Center", Cisco document 1510676978683359,
and from "Attachment Information" of Cisco's Smart Bonding Customer API). A file that was sent
cannot be changed, and must not be sent twice (the same page). 201 means success (the sample code of
the first page, and the completion codes in github.com/sahanajoshi/dnacataglance).
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias
from urllib.parse import quote, unquote, urlsplit

from cucmctl.cli.options import UsageError

CXD = "cxd"
CXD_HOST = "cxd.cisco.com"
EXPECTED = f"expected {CXD}, https://HOST/FOLDER/ or sftp://USER@HOST/FOLDER/"


class Https(NamedTuple):
    """The address of a new file.

    address  without user name, and without the query, which can be a secret (a presigned address)
    query    the query with its `?`, or ""
    user     the name to log in with; without a name nobody logs in
    created  whether only the status 201 means success
    """

    address: str
    query: str
    user: str | None
    created: bool

    @property
    def host(self) -> str:
        return urlsplit(self.address).hostname or ""


class Sftp(NamedTuple):
    """The address of a new file. `path` is absolute, or begins in the home of the user."""

    user: str | None
    host: str
    port: int | None
    path: str

    @property
    def address(self) -> str:
        port = f":{self.port}" if self.port else ""
        return f"sftp://{self.host}{port}/{self.path.removeprefix('/')}"


Destination: TypeAlias = Https | Sftp


def destination_of(typed: str, name: str, *, case: str | None, cxd_host: str = "") -> Destination:
    """Returns the address at which the file `name` is stored.

    Raises `UsageError`, which never quotes a password or a query.

    case      the number of the case; only `cxd` needs it
    cxd_host  the host of the vendor, if it is another one than usual
    """
    if typed == CXD:
        if case is None:
            text = (
                "needs the number of the case; give --case (an export takes it from the label case)"
            )
            raise UsageError(f"{CXD} {text}")
        if not (case.isascii() and case.isdecimal()):
            raise UsageError(f"the case {case!r} is not a number such as 698123456; give --case")
        return Https(f"https://{cxd_host or CXD_HOST}/home/{quote(name, safe='')}", "", case, True)
    try:
        parts = urlsplit(typed)
        port = parts.port
    except ValueError:
        raise UsageError(f"the destination is not an address; {EXPECTED}") from None
    if parts.password is not None:
        raise UsageError("the destination has a password, which others can see; remove it from it")
    if parts.scheme not in ("https", "sftp") or not parts.hostname or parts.hostname[0] == "-":
        raise UsageError(f"{typed.partition('?')[0]!r} is not a destination; {EXPECTED}")
    user = None if parts.username is None else unquote(parts.username)
    if parts.scheme == "https":
        path = parts.path or "/"
        path += quote(name, safe="") if path.endswith("/") else ""
        address = f"https://{parts.netloc.rpartition('@')[2]}{path}"
        return Https(address, f"?{parts.query}" if parts.query else "", user, False)
    path = unquote(parts.path or "/")
    path += name if path.endswith("/") else ""
    # As for sftp(1), a path begins in the home of the user unless there are two slashes.
    path = path.removeprefix("/")
    host = parts.netloc.rpartition("@")[2].removesuffix(f":{port}")  # a Host of ssh_config has case
    return Sftp(user, host, port, path)
