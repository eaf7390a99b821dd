"""Reads the configuration, a TOML file, into frozen structs, or raises an error that names the key.

Each field is a key of the file. cucmweb(8) shows them with their defaults and the comments here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct
from msgspec.structs import replace

from cucmctl.sites.places import sites_of
from cucmctl.upload.target import TargetSettings, check_absolute, read_targets
from cucmd.paths import LONGEST_SOCKET, socket_to_call
from cucmd.toml_file import ConfigError, TomlFile, read, text, whole, wrong_value

SYSTEM_CONFIG = Path("/etc/cucmweb/cucmweb.toml")
UNIX = "unix"

Role: TypeAlias = Literal["view", "operate"]
Network: TypeAlias = IPv4Network | IPv6Network
# Where cucmweb listens: the path of a Unix socket, or (host, port) of TCP.
ListenAddress: TypeAlias = Path | tuple[str, int]

_Amount = Annotated[int, whole(1, 1_000_000)]
_Seconds = Annotated[float, Meta(gt=0, le=3600, description="seconds, at most 3600")]
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_PORT = re.compile(r"[0-9]{1,5}")
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_LOCALHOST = ("localhost", "127.0.0.1", "::1")
# These mean all addresses of the machine, and are never the name under which it is called.
_ALL_ADDRESSES = {"0.0.0.0", "::"}  # noqa: S104  # refused as a name, not bound to


# Headers that browsers send by themselves. If the name of a person came in one of them, everybody
# could choose a name.
_BROWSER_HEADERS = {
    *("accept", "accept-encoding", "accept-language", "authorization", "connection", "cookie"),
    *("content-length", "content-type", "host", "origin", "referer", "te", "transfer-encoding"),
    *("upgrade", "user-agent"),
}


def _header(text: str) -> None:
    if not _HEADER.fullmatch(text):
        raise ValueError("expected the name of a header")
    if text.lower() in _BROWSER_HEADERS:
        raise ValueError("expected a header that only the proxy sets")


def _host(text: str) -> None:
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


def _network(text: str) -> Network | None:
    """Returns a network, or None for the Unix socket. Raises `ValueError`."""
    if text == UNIX:
        return None
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f'expected an address, a network, or "{UNIX}" ({error})') from None


def parse_listen(text: str) -> ListenAddress:
    """Reads the address at which to listen. Raises `ValueError`."""
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
_Path = Annotated[str, text(check_absolute, may_be_empty=True)]
_HostName = Annotated[str, text(_host)]
_ListenText = Annotated[str, text(parse_listen)]
_Peer = Annotated[str, text(_network)]


class ProxySettings(Struct, frozen=True):
    """Describes a proxy that authenticates people and names them in a header.

    There is a proxy if `header` is set. The header is accepted from the peers in `trusted`; a
    request of anybody else with that header is refused.
    """

    header: _Header = ""  # has the name of the person, such as "X-Remote-User"
    trusted: tuple[_Peer, ...] = ()  # addresses and networks; "unix": clients of the Unix socket
    role: Literal["", "view", "operate"] = ""  # of everybody behind the proxy: "view" or "operate"
    role_header: _Header = ""  # or a header that has the role of the person

    def trusts(self, peer: str | None) -> bool:
        """Returns whether an address is trusted, also an IPv4 address that is mapped to IPv6. None
        stands for the Unix socket.
        """
        if peer is None:
            return UNIX in self.trusted
        address = ip_address(peer)
        address = getattr(address, "ipv4_mapped", None) or address
        return any(network and address in network for network in map(_network, self.trusted))


class WebLimits(Struct, frozen=True):
    """Holds the limits. A request beyond a limit is refused, and a slow client is cut off."""

    # The daemon takes no request above 1 MiB.
    body: Annotated[int, whole(1024, 1024**2)] = 1024**2  # bytes of a request's body
    streams: _Amount = 1000  # event streams and downloads of all callers at once
    streams_per_caller: _Amount = 100  # event streams and downloads of one caller
    connections_per_address: _Amount = 200  # TCP connections; not for a proxy
    patience: _Seconds = 30.0  # seconds for a client to send a request or read a reply


class MetricsSettings(Struct, frozen=True):
    """Says who may read /metrics, and what is in it."""

    open: bool = False  # anybody may read /metrics, without a token
    per_node: bool = False  # with the names of nodes; each node adds time series


class WebConfig(Struct, frozen=True):
    """Holds the whole configuration."""

    socket: _Path = ""  # the daemon's socket; empty: the one that cucmctl finds
    listen: _ListenText = "unix:/run/cucmweb/http.sock"  # or "HOST:PORT"; unused under systemd
    hosts: tuple[_HostName, ...] = ()  # names of this server, besides localhost and its TCP address
    tokens: _Path = "/etc/cucmweb/tokens.toml"
    mask_assistants: bool = True  # mask numbers, names and addresses in the answers at /mcp
    export_folder: _Path = ""  # where assistants may export to, masked; empty: nowhere
    limits: WebLimits = WebLimits()
    proxy: ProxySettings = ProxySettings()
    metrics: MetricsSettings = MetricsSettings()
    targets: dict[str, TargetSettings] = {}
    sites: dict[str, Any] = {}  # name -> ssh://USER@HOST:PORT/SOCKET; once read, a `Site`


def load(
    file: Path | None,
    environ: Mapping[str, str],
    uid: int,
    *,
    socket: str | None = None,
    listen: str | None = None,
) -> WebConfig:
    """Returns the configuration. If `file` is None, the system's file is read, which may be
    missing.

    `socket` and `listen` come from the command line and go first. Raises `ConfigError`.
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
    """Returns the configuration in a file. Raises `ConfigError`."""
    document = file.table((), file.document, WebConfig.__struct_fields__)
    limits = file.convert(("limits",), document.pop("limits", {}), WebLimits)
    proxy = file.convert(("proxy",), document.pop("proxy", {}), ProxySettings)
    metrics = file.convert(("metrics",), document.pop("metrics", {}), MetricsSettings)
    # Check the keys that depend on each other.
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
    targets = read_targets(file, document.pop("targets", {}))
    sites = file.table(("sites",), places := document.pop("sites", {}), places)
    config = file.convert((), document, WebConfig)
    known = sites_of(file, sites)
    return replace(
        config, limits=limits, proxy=proxy, metrics=metrics, targets=targets, sites=known
    )


def for_addresses(
    config: WebConfig,
    addresses: Sequence[ListenAddress],
    *,
    has_tokens: bool,
    trusts_network: bool = False,
) -> WebConfig:
    """Returns the configuration with all `hosts` that are accepted at the addresses at which
    cucmweb listens.

    Raises `ConfigError` for a TCP address that other machines can reach, unless `trusts_network`,
    for one where no caller could be authenticated, and for one that needs `hosts`.
    """
    tcp = [address for address in addresses if not isinstance(address, Path)]
    exposed = [host for host, _ in tcp if not ip_address(host).is_loopback]
    if exposed and not trusts_network:
        raise ConfigError(
            "listen",
            f"other machines can reach {exposed[0]}, and nothing is encrypted: listen at a Unix"
            " socket behind a proxy, or use --trusted-network",
        )
    # A proxy that is trusted at the Unix socket alone names nobody who comes over TCP.
    if tcp and not has_tokens and set(config.proxy.trusted) <= {UNIX}:
        raise ConfigError(
            "listen",
            f"at {tcp[0][0]} port {tcp[0][1]} nobody can be authenticated: make a token (cucmweb"
            " token add NAME --role view), or configure a proxy ([proxy] header, trusted)",
        )
    if not config.hosts and any(host in _ALL_ADDRESSES for host, _ in tcp):
        raise ConfigError(
            "hosts",
            "is missing; to listen at all addresses, list the names and addresses by which cucmweb"
            ' is called, as in hosts = ["cucm-logs.example.org"]',
        )
    # The kernel adds the interface to a link-local address, as in `fe80::1%eth0`.
    own = {host.partition("%")[0] for host, _ in tcp} - _ALL_ADDRESSES
    names = {name.lower() for name in (*_LOCALHOST, *config.hosts, *own)}
    return replace(config, hosts=tuple(sorted(names)))


def accepts_host(config: WebConfig, header: str) -> bool:
    """Returns whether a request may have this `Host`. `config` is the result of `for_addresses`.

    Without this check a page of another site that points a name of its own to this machine (DNS
    rebinding) could make a browser send any request. A Unix socket can be reached like that too, if
    `ssh -L` forwards a port to it.
    """
    name = header.rpartition(":")[0] if re.search(r":\d*$", header) else header
    name = name.removeprefix("[").removesuffix("]").removesuffix(".").lower()
    return name in config.hosts
