"""Makes the keys of hub and sites, and the file with which nats-server knows them.

In the hub's state directory:

    hub.key      the seed of the hub's own nkey, mode 0600
    sites.json   the name of each site, and its public nkey
    users.conf   made from both; nats-server includes it

The seed of a site is not kept: it is only in the file of its agent.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import msgspec
import nkeys

from cucmd.durable import replace_file
from cucmfleet.messages import COMMANDS, STATES


class NoSuchSite(Exception):
    """There is no site of that name."""


class SiteExists(Exception):
    """There is a site of that name already."""


def new_key() -> tuple[str, str]:
    """Returns the seed and the public part of a new nkey."""
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    return seed.decode(), public_of(seed.decode())


def public_of(seed: str) -> str:
    public: bytes = nkeys.from_seed(bytearray(seed.encode())).public_key
    return public.decode()


def hub_seed(state: Path) -> str:
    """Returns the seed of the hub. The first call makes the seed. Raises `OSError`."""
    path = state / "hub.key"
    if not path.exists():
        replace_file(path, [f"{new_key()[0]}\n".encode()], 0o600)
        write_users(state, read_sites(state))
    return path.read_text().strip()


def read_sites(state: Path) -> dict[str, str]:
    """Returns the public nkey of each site. Raises `OSError`, and `ValueError` for a bad file."""
    try:
        return msgspec.json.decode((state / "sites.json").read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}


def add_site(state: Path, name: str) -> str:
    """Adds a site, and returns the seed of its agent. Raises `SiteExists` and `OSError`."""
    sites = read_sites(state)
    if name in sites:
        raise SiteExists(f"there is a site {name!r} already; remove it first for a new key")
    seed, public = new_key()
    write_sites(state, sites | {name: public})
    return seed


def remove_site(state: Path, name: str) -> None:
    """Removes a site and the rights of its key. Raises `NoSuchSite` and `OSError`."""
    sites = read_sites(state)
    if sites.pop(name, None) is None:
        raise NoSuchSite(f"there is no site {name!r}; there are {', '.join(sites) or 'none'}")
    write_sites(state, sites)


def write_sites(state: Path, sites: dict[str, str]) -> None:
    replace_file(state / "sites.json", [json.dumps(sites, indent=1).encode()], 0o644)
    write_users(state, sites)


def write_users(state: Path, sites: dict[str, str]) -> None:
    hub = public_of((state / "hub.key").read_text().strip())
    lines = ["# Made by cucmhub.", "authorization {", "  users = [", f"    {{ nkey: {hub} }}"]
    for name, public in sites.items():
        rights = json.dumps(permissions(name))
        lines.append(f"    {{ nkey: {public}, permissions: {rights} }}")
    text = "\n".join([*lines, "  ]", "}", ""])
    replace_file(state / "users.conf", [text.encode()], 0o644)


def permissions(site: str) -> dict[str, list[str]]:
    """Returns what the agent of a site may do: take and acknowledge its own commands, write and
    read its own states, and receive answers in its own inbox.
    """
    return {
        "publish": [
            f"$JS.API.CONSUMER.MSG.NEXT.{COMMANDS}.{site}",
            f"$JS.ACK.{COMMANDS}.{site}.>",
            f"$JS.API.CONSUMER.INFO.{COMMANDS}.{site}",
            f"$KV.state.{site}.>",
            f"$JS.API.DIRECT.GET.{STATES}.$KV.state.{site}.>",
        ],
        "subscribe": [f"_INBOX_{site}.>"],
    }


def reload_server(pid_file: str) -> bool:
    """Tells nats-server to read its users again. Returns whether it runs. Raises `OSError`."""
    try:
        pid = int(Path(pid_file).read_text())
        # The file of a server that was killed may name another process by now.
        runs = Path(f"/proc/{pid}/comm").read_text().strip() == "nats-server"
    except (FileNotFoundError, ValueError):
        return False
    if runs:
        os.kill(pid, signal.SIGHUP)
    return runs
