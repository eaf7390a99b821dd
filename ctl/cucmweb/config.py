"""Makes frozen structs of the configuration, a file in TOML, or an error with the key.

A field is a key of the file; cucmweb(8) has them with their defaults and the comments beside them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct
from msgspec.structs import replace

from cucmd.paths import LONGEST_SOCKET, socket_to_call
from cucmd.toml_file import ConfigError, TomlFile, read, text, whole, wrong_value

SYSTEM_CONFIG = Path("/etc/cucmweb/cucmweb.toml")
UNIX = "unix"

Role: TypeAlias = Literal["view", "operate"]
Network: TypeAlias = IPv4Network | IPv6Network
# Where it listens: the path of a Unix socket, or (host, port) of TCP.
ListenAddress: TypeAlias = Path | tuple[str, int]

_Amount = Annotated[int, whole(1, 1_000_000)]
_Seconds = Annotated[float, Meta(gt=0, le=3600, description="seconds, at most 3600")]
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_PORT = re.compile(r"[0-9]{1,5}")
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_LOCALHOST = ("localhost", "127.0.0.1", "::1")
# They stand for all addresses of the machine, and nobody calls it by them.
_ALL_ADDRESSES = {"0.0.0.0", "::"}  # noqa: S104  # refused as a name, not bound to


# Browsers send these by themselves. If one of them named people, anybody could be anyone.
_OWN_HEADERS = {
    *("accept", "accept-encoding", "accept-language", "authorization", "connection", "cookie"),
    *("content-length", "content-type", "host", "origin", "referer", "te", "transfer-encoding"),
    *("upgrade", "user-agent"),
}


def _header(text: str) -> None:
    if not _HEADER.fullmatch(text):
        raise ValueError("expected the name of a header")
    if text.lower() in _OWN_HEADERS:
        raise ValueError("expected a header that only the proxy sets")


def _called_by(text: str) -> None:
    if text in _ALL_ADDRESSES or not _is_host(text):
        raise ValueError("expected a name or an address, without a port")


def _is_host(text: str) -> bool:
    if ":" not in text:
        return _HOST.fullmatch(text) is not None
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _absolute(text: str) -> None:
    if not Path(text).is_absolute() or "\0" in text:
        raise ValueError("expected an absolute path")


def _network(text: str) -> Network | None:
    """Reads an address or a network; None: the Unix socket. Raises `ValueError`."""
    if text == UNIX:
        return None
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f'expected an address, a network, or "{UNIX}" ({error})') from None


def parse_listen(text: str) -> ListenAddress:
    """Raises `ValueError`."""
    expected = "unix:PATH or HOST:PORT"
    if text.startswith(f"{UNIX}:"):
        path = text.removeprefix(f"{UNIX}:")
        if not Path(path).is_absolute() or "\0" in path:
            raise ValueError(f"expected an absolute path in {expected}")
        if len(path.encode()) > LONGEST_SOCKET:
            raise ValueError(f"expected a path of at most {LONGEST_SOCKET} bytes")
        return Path(path)
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"expected {expected}, with an IPv6 address in brackets")
    if not (colon and _is_host(host) and _PORT.fullmatch(port) and int(port) < 2**16):
        raise ValueError(f"expected {expected}")
    return host, int(port)


_Header = Annotated[str, text(_header, may_be_empty=True)]
_Path = Annotated[str, text(_absolute, may_be_empty=True)]
_Site = Annotated[str, text(_called_by)]
_ListenText = Annotated[str, text(parse_listen)]
_Peer = Annotated[str, text(_network)]


class ProxySettings(Struct, frozen=True):
    """Describes a proxy that authenticates people and names them in a header.

    Without `header` there is none. Who may set that header is `trusted`; from anybody else it is
    refused.
    """

    header: _Header = ""  # in which the proxy gives the name, such as "X-Remote-User"
    trusted: tuple[_Peer, ...] = ()  # addresses, networks; "unix": who comes by the Unix socket
    role: Literal["", "view", "operate"] = ""  # of all whom the proxy lets in: "view" or "operate"
    role_header: _Header = ""  # or the header in which the proxy gives the role

    def trusts(self, peer: str | None) -> bool:
        """Says whether this address is one of the proxy, also where IPv6 carries an IPv4 address.
        None: the Unix socket.
        """
        if peer is None:
            return UNIX in self.trusted
        address = ip_address(peer)
        address = getattr(address, "ipv4_mapped", None) or address
        return any(network and address in network for network in map(_network, self.trusted))


class WebLimits(Struct, frozen=True):
    """Beyond these a request is refused, and a client that is too slow is cut off."""

    # The daemon takes no request above 1 MiB.
    body: Annotated[int, whole(1024, 1024**2)] = 1024**2  # bytes of a request's body
    requests: _Amount = 50  # in a second, of one caller
    streams: _Amount = 1000  # event streams and downloads at once, of all callers
    streams_per_caller: _Amount = 100  # of these, those of one caller
    connections_per_address: _Amount = 200  # of TCP, unless it is a proxy's
    patience: _Seconds = 30.0  # seconds for a client to send or to take what is due


class WebConfig(Struct, frozen=True):
    """Holds the whole configuration."""

    socket: _Path = ""  # the daemon's; empty: the one that cucmctl finds
    listen: _ListenText = "unix:/run/cucmweb/http.sock"  # or "HOST:PORT"; not where systemd listens
    hosts: tuple[_Site, ...] = ()  # by which it is called, beside localhost and the address of TCP
    tokens: _Path = "/etc/cucmweb/tokens.toml"
    limits: WebLimits = WebLimits()
    proxy: ProxySettings = ProxySettings()


def load(
    file: Path | None,
    environ: Mapping[str, str],
    uid: int,
    *,
    socket: str | None = None,
    listen: str | None = None,
) -> WebConfig:
    """Reads the configuration as it is used. `file` None: the system's file, which may be missing.

    `socket` and `listen` are those of the command line. Raises `ConfigError`.
    """
    path = file or SYSTEM_CONFIG
    try:
        config = read_config(read(path))
    except (FileNotFoundError, NotADirectoryError):
        if file is not None:
            raise ConfigError(str(path), "there is no such file") from None
        config = WebConfig()
    chosen = socket or environ.get("CUCMD_SOCKET") or config.socket or socket_to_call(environ, uid)
    return replace(config, listen=listen or config.listen, socket=str(Path(chosen).absolute()))


def read_config(file: TomlFile) -> WebConfig:
    """Makes the configuration of a file. Raises `ConfigError`."""
    document = file.table((), file.document, WebConfig.__struct_fields__)
    limits = file.convert(("limits",), document.pop("limits", {}), WebLimits)
    proxy = file.convert(("proxy",), document.pop("proxy", {}), ProxySettings)
    # Keys that do not fit each other.
    key, expected = "", ""
    if not proxy.header:
        if proxy.trusted or proxy.role or proxy.role_header:
            key, expected = "header", "the header in which the proxy gives the name"
    elif not proxy.trusted:
        key, expected = "trusted", f'an address, a network, or "{UNIX}"'
    elif bool(proxy.role) == bool(proxy.role_header):
        key, expected = "role", "either role or role_header"
    elif proxy.role_header.lower() == proxy.header.lower():
        key, expected = "role_header", "another header than that of the name"
    if key:
        reason = wrong_value(getattr(proxy, key), f"expected {expected}")
        raise file.error(("proxy", key), reason)
    return replace(file.convert((), document, WebConfig), limits=limits, proxy=proxy)


def for_addresses(
    config: WebConfig,
    addresses: Sequence[ListenAddress],
    *,
    has_tokens: bool,
    trusts_network: bool = False,
) -> WebConfig:
    """Adds to the configuration all `hosts` that count at the addresses at which it listens.

    Raises `ConfigError` for an address of TCP that other machines reach, unless `trusts_network`,
    for one at which nobody could say who it is, and for one that has no name of its own.
    """
    tcp = [address for address in addresses if not isinstance(address, Path)]
    exposed = [host for host, _ in tcp if not ip_address(host).is_loopback]
    if exposed and not trusts_network:
        raise ConfigError(
            "listen",
            f"other machines reach {exposed[0]}, where nothing is encrypted: listen at a Unix"
            " socket behind a proxy, or say that the network is trusted (--trusted-network)",
        )
    if tcp and not has_tokens and set(config.proxy.trusted) <= {UNIX}:
        raise ConfigError(
            "listen",
            f"at {tcp[0][0]} port {tcp[0][1]} anybody could be anyone: make a token (cucmweb token"
            " add NAME --role view), or name a proxy that authenticates ([proxy] header, trusted)",
        )
    if not config.hosts and any(host in _ALL_ADDRESSES for host, _ in tcp):
        raise ConfigError(
            "hosts",
            "are missing; who listens at all addresses has to list the names and addresses by which"
            ' it is called, as in hosts = ["cucm-logs.example.org"]',
        )
    # The kernel gives a link-local address with its interface, as in `fe80::1%eth0`.
    own = {host.partition("%")[0] for host, _ in tcp} - _ALL_ADDRESSES
    names = {name.lower() for name in (*_LOCALHOST, *config.hosts, *own)}
    return replace(config, hosts=tuple(sorted(names)))


def accepts_host(config: WebConfig, header: str) -> bool:
    """Says whether a request may have this `Host`. `config` is that of `for_addresses`.

    A page of elsewhere that points a name of its own to this machine (DNS rebinding) would
    otherwise have a browser send what it likes. That reaches a Unix socket too: `ssh -L` gives it a
    port.
    """
    name = header.rpartition(":")[0] if re.search(r":\d*$", header) else header
    name = name.removeprefix("[").removesuffix("]").removesuffix(".").lower()
    return name in config.hosts
