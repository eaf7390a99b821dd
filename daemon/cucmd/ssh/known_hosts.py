"""Remembers, compares and forgets nodes' host keys, in a file that OpenSSH can read too.

asyncssh reads the file, once for each change, and finds the keys of a node in it. Keys are compared
with those in memory, and the file is written after a change there. So two connections to one node
at the same time see the same key. Lines that cannot be parsed stay in the file as they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import asyncssh
import msgspec
import trio

from cucmd.durable import replace_file
from cucmd.failure import Code, fail
from cucmd.job.job import HostKeyPolicy
from cucmd.node_name import address, parse_node
from cucmd.ssh.known_line import (
    HostLine,
    PublicKey,
    host_name,
    node_name,
    parse_key,
    parse_line,
    public_key,
)

ChangeLines: TypeAlias = Callable[[list[str]], list[str]]


class Policy(msgspec.Struct, frozen=True):
    """Says which host keys and algorithms of a node are accepted.

    host_keys:
        "strict": the node's key must be known beforehand.
        "accept-new": the key of a node without any is remembered, a change is refused.
        "off": no key is compared.
    legacy_algorithms: whether SHA-1 and CBC are offered too.
    """

    host_keys: HostKeyPolicy = "accept-new"
    legacy_algorithms: bool = False


class KnownHosts:
    """Holds the keys of all nodes. All methods may be called from any thread.

    `accept` only changes memory, because it runs during a login, on the event loop; `flush` then
    writes the file. `add` and `forget` are durable on return, so they block.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file. Raises OSError: without it, every changed key would look new."""
        self.path = path
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._saved: list[str] = []  # as the file had it when it was last read or written
        self._lines: list[str] = []  # the same with `_unsaved`
        self._hosts: list[HostLine] = []  # those of `_lines` that are about hosts
        self._parsed = asyncssh.import_known_hosts("")  # the same, as asyncssh looks in them
        self._unsaved: list[ChangeLines] = []
        self.load()

    def load(self) -> None:
        """Reads the file again. A missing file counts as empty. Raises OSError.

        Blocks while it reads. `trusted` on the event loop does not wait for it.
        """
        with self._writing:
            lines = self._read()
            with self._lock:
                self._saved = lines
                self._replace_lines(self._apply(self._unsaved, lines))

    def trusted(self, host: str, port: int) -> tuple[PublicKey, ...]:
        """Returns the keys by which a node is known, @revoked ones left out."""
        return self._keys(host, port)[0]

    def _keys(self, host: str, port: int) -> tuple[tuple[PublicKey, ...], tuple[PublicKey, ...]]:
        """Returns the keys by which a node is known, and those that are revoked for it."""
        with self._lock:
            # Without a port of its own asyncssh does not take `host` for `[host]:port` as well.
            trusted, _, revoked, *_ = self._parsed.match(host_name(host, port), "", None)
        return tuple(map(public_key, trusted)), tuple(map(public_key, revoked))

    def check(self, host: str, port: int, key: PublicKey, policy: Policy) -> None:
        """Returns if this key may be trusted as that node's.

        Remembers nothing: the node has sent the key, but not proved that it has the private key.

        Raises NodeFailed with host_key_changed or host_key_unknown.

        If only other keys of the node are known, even of another type, the key has changed: an
        attacker could otherwise offer a key of a type that is not known yet.
        """
        if policy.host_keys == "off":
            return
        keys, revoked_keys = self._keys(host, port)
        trusted, revoked = ([key.fingerprint for key in some] for some in (keys, revoked_keys))
        where, shown = address(host, port), f"{key.fingerprint} ({key.algorithm})"
        if key.fingerprint in revoked:
            raise fail(
                Code.HOST_KEY_CHANGED,
                f"{where} shows the host key {shown}, which is marked as revoked",
            )
        if trusted and key.fingerprint not in trusted:
            raise fail(
                Code.HOST_KEY_CHANGED,
                f"the host key of {where} has changed: it was {' or '.join(trusted)} "
                f"and is now {shown}",
            )
        if not trusted and policy.host_keys == "strict":
            raise fail(Code.HOST_KEY_UNKNOWN, f"no host key of {where} is known; it shows {shown}")

    def accept(self, host: str, port: int, key: PublicKey, policy: Policy) -> None:
        """Checks the key again, once the node has proved that it has the private key.

        With `accept-new` the key of a node without any is remembered. It is in the file after the
        next `flush`. Raises like `check`.
        """
        with self._lock:
            # Again: another connection may have remembered another key meanwhile.
            self.check(host, port, key, policy)
            if policy.host_keys == "accept-new" and not self._is_trusted(host, port, key):
                # As `_change` does, but without a look at all other lines.
                text = _line_of(host, port, key)
                self._unsaved.append(_add_keys(host, port, key))
                self._lines = [*self._lines, text]
                if (line := parse_line(text)) is not None:
                    self._hosts.append(line)
                    self._parsed.load(line.for_asyncssh)

    def add(
        self, node: str, *keys: str, check: Callable[[tuple[PublicKey, ...]], None] | None = None
    ) -> bool:
        """Trusts keys, as `parse_key` takes them, as that node's: all or none. Durable on return.

        check: is given the keys by which the node is known, while nobody else can add one, and
        raises if these may not stand beside them.

        False if all were trusted before. Raises InvalidNode, ValueError for a key that is none,
        what `check` raises, and OSError if the file cannot be written: then none is trusted.
        """
        host, port = parse_node(node)
        parsed = [parse_key(key) for key in keys]
        with self._lock:
            if check is not None:
                check(self.trusted(host, port))
            missing = [key for key in parsed if not self._is_trusted(host, port, key)]
            change = _add_keys(host, port, *missing)
            if missing:
                self._change(change)
        if missing:
            self._save_or_undo(change)
        else:
            self.save()  # they may be in memory alone
        return bool(missing)

    def _is_trusted(self, host: str, port: int, key: PublicKey) -> bool:
        return key.fingerprint in {one.fingerprint for one in self.trusted(host, port)}

    def forget(self, node: str) -> int:
        """Removes the keys of exactly that node; durable on return. Returns how many they were:
        where there is none, nothing is written.

        A line for several names loses this one and stays for the others, comment included; lines
        with a wildcard and @revoked lines stay. Raises InvalidNode, and OSError if the file cannot
        be read or written: then the keys stay known.
        """
        name = host_name(*parse_node(node))
        self.load()  # a line may have been added by hand

        def change(lines: list[str]) -> list[str]:
            kept = (_without(line, name) for line in lines)
            return [line for line in kept if line is not None]

        with self._lock:
            count = sum(_without(line, name) != line for line in self._lines)
            if count:
                self._change(change)
        if count:
            self._save_or_undo(change)
        return count

    def entries(self) -> tuple[tuple[str, HostLine], ...]:
        """Returns every line of the file, once for each of its names, in the order of the file.

        The name is that of a node as we write it, or a pattern or a hash as the file has it.
        """
        with self._lock:
            hosts = tuple(self._hosts)
        return tuple((node_name(name), line) for line in hosts for name in line.hosts.split(","))

    async def flush(self) -> None:
        """Writes what `accept` has remembered, in a thread. Many callers share one write."""
        if self._unsaved:
            await trio.to_thread.run_sync(self.save)

    def save(self) -> None:
        """Writes what has changed; the file is whole at any moment. Raises OSError.

        The file is read again first, so that lines that were added by hand meanwhile stay.
        """
        with self._writing:
            with self._lock:
                changes = tuple(self._unsaved)
            if not changes:
                return
            lines = self._apply(changes, self._read())
            text = "".join(f"{line}\n" for line in lines)
            replace_file(self.path, [text.encode("utf-8", "surrogateescape")], 0o600)
            with self._lock:
                del self._unsaved[: len(changes)]
                self._saved = lines
                self._replace_lines(self._apply(self._unsaved, lines))

    def _save_or_undo(self, change: ChangeLines) -> None:
        try:
            self.save()
        except OSError:
            with self._writing, self._lock:
                if change in self._unsaved:  # otherwise another save has written it by now
                    self._unsaved.remove(change)
                    self._replace_lines(self._apply(self._unsaved, self._saved))
                    raise

    def _change(self, change: ChangeLines) -> None:
        self._unsaved.append(change)
        self._replace_lines(change(self._lines))

    def _replace_lines(self, lines: list[str]) -> None:
        if lines != self._lines:
            parsed = (parse_line(line) for line in lines)
            self._hosts = [line for line in parsed if line is not None]
            readable = "\n".join(line.for_asyncssh for line in self._hosts)
            self._parsed = asyncssh.import_known_hosts(readable)
        self._lines = lines

    @staticmethod
    def _apply(changes: Iterable[ChangeLines], lines: list[str]) -> list[str]:
        for change in changes:
            lines = change(lines)
        return lines

    def _read(self) -> list[str]:
        try:
            # Not as text: the line ends of other lines would change.
            text = self.path.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return []
        return text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")


def _line_of(host: str, port: int, key: PublicKey) -> str:
    return f"{host_name(host, port)} {key}"


def _add_keys(host: str, port: int, *keys: PublicKey) -> ChangeLines:
    new = [_line_of(host, port, key) for key in keys]
    return lambda lines: [*(text for text in lines if text not in new), *new]


def _without(text: str, name: str) -> str | None:
    """Returns the line without that name, and else as it is; None if no other name is left."""
    line = parse_line(text)
    if line is None or line.revoked:
        return text
    hosts = line.hosts_without(name)
    return text.replace(line.hosts, hosts, 1) if hosts else None
