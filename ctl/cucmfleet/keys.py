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
from pathlib import Path

import msgspec
import nkeys

from cucmctl.cli.options import UsageError
from cucmd.durable import replace_file
from cucmfleet.messages import COMMANDS, states_of


def hub_seed(state: Path) -> str:
    """Returns the seed of the hub. The first call makes the seed. Raises `OSError`."""
    path = state / "hub.key"
    if not path.exists():
        state.mkdir(parents=True, exist_ok=True)
        state.chmod(0o755)  # as in `_write_sites`
        replace_file(path, [_new_seed()], 0o600)
        _write_sites(state, read_sites(state))
    return path.read_text()


def read_sites(state: Path) -> dict[str, str]:
    """Returns the public nkey of each site. Raises `OSError`, and `ValueError` for a bad file."""
    try:
        return msgspec.json.decode((state / "sites.json").read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}


def add_site(state: Path, name: str) -> str:
    """Adds a site, and returns the seed of its agent. Raises `UsageError` and `OSError`."""
    sites, seed = read_sites(state), _new_seed()
    if name in sites:
        raise UsageError(f"there is a site {name!r} already; remove it first for a new key")
    hub_seed(state)
    _write_sites(state, sites | {name: _public(seed)})
    return seed.decode()


def remove_site(state: Path, name: str) -> None:
    """Removes a site and the rights of its key. Raises `UsageError` and `OSError`."""
    sites = read_sites(state)
    if sites.pop(name, None) is None:
        raise UsageError(f"there is no site {name!r}; there are {', '.join(sites) or 'none'}")
    _write_sites(state, sites)


def _new_seed() -> bytes:
    return bytes(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER))


def _public(seed: bytes) -> str:
    return str(nkeys.from_seed(bytearray(seed)).public_key.decode())


def _write_sites(state: Path, sites: dict[str, str]) -> None:
    users: list[dict[str, object]] = [{"nkey": _public((state / "hub.key").read_bytes())}]
    users += [{"nkey": key, "permissions": _permissions(name)} for name, key in sites.items()]
    text = f"# Made by cucmhub.\nauthorization {json.dumps({'users': users}, indent=1)}\n"
    # Other users read both, whatever the umask of the administrator is.
    everybody = 0o644, os.getegid()
    replace_file(state / "sites.json", [json.dumps(sites, indent=1).encode()], *everybody)
    replace_file(state / "users.conf", [text.encode()], *everybody)


def _permissions(site: str) -> dict[str, list[str]]:
    """Returns what the agent of a site may do: take and acknowledge its own commands, write and
    read its own states, and receive answers in its own inbox.
    """
    return {
        "publish": [
            f"$JS.API.CONSUMER.MSG.NEXT.{COMMANDS}.{site}",
            f"$JS.ACK.{COMMANDS}.{site}.>",
            f"$JS.API.CONSUMER.INFO.{COMMANDS}.{site}",
            f"$KV.state_{site}.>",
            f"$JS.API.STREAM.MSG.GET.{states_of(site)[0]}",
        ],
        "subscribe": [f"_INBOX_{site}.>"],
    }
