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
from cucmfleet.messages import AGENT, SITE_API, commands_of, states_of

# The subjects that accounts of sites can import. Each site imports only its own.
_EXPORTS = (
    f"$JS.API.CONSUMER.MSG.NEXT.*.{AGENT}",
    f"$JS.ACK.*.{AGENT}.>",
    "$JS.API.DIRECT.GET.>",
    "$KV.*.>",
)
# How long nats-server knows where an answer goes that it has not sent yet. A pull takes 5 seconds.
_KEPT = "10s"
# How many connections a site may have, and subscriptions in each of them. Without limits, one site
# could take all connections and the memory of nats-server. Connections from before a cut stay for
# half a minute, with the `ping_interval` of cucmhub(8).
_LIMITS = {"max_connections": 16, "max_subscriptions": 100}


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
    hub = {"nkey": _public((state / "hub.key").read_bytes())}
    exports = [{"service": subject, "threshold": _KEPT} for subject in _EXPORTS]
    accounts: dict[str, object] = {"hub": {"jetstream": True, "users": [hub], "exports": exports}}
    accounts |= {f"site_{name}": _account(name, key) for name, key in sites.items()}
    text = f"# Made by cucmhub.\naccounts {json.dumps(accounts, indent=1)}\n"
    # Other users read both, whatever the umask of the administrator is.
    everybody = 0o644, os.getegid()
    replace_file(state / "sites.json", [json.dumps(sites, indent=1).encode()], *everybody)
    replace_file(state / "users.conf", [text.encode()], *everybody)


def _account(site: str, key: str) -> dict[str, object]:
    """Returns the account of a site. The account has only the subjects that are imported here: the
    agent may take and acknowledge its own commands, and write and read its own states.

    Permissions in one account for all would not be enough. nats-server sends its answers with all
    rights to any subject that a request names. So a site could make it send an answer to
    `$JS.API.STREAM.DELETE.EV`, which deletes that stream, or to a subject of another site.
    """
    commands, states = commands_of(site)[0], states_of(site)[0]
    subjects = (
        f"$JS.API.CONSUMER.MSG.NEXT.{commands}.{AGENT}",
        f"$JS.ACK.{commands}.{AGENT}.>",
        f"$JS.API.DIRECT.GET.{states}.>",
        f"$KV.state_{site}.>",
    )
    imports = [
        {
            "service": {"account": "hub", "subject": subject},
            "to": subject.replace("$JS.API", SITE_API),
        }
        for subject in subjects
    ]
    return {"users": [{"nkey": key}], "imports": imports, "limits": _LIMITS}
