"""Remembers, compares and forgets the host keys of nodes, in a file that OpenSSH can read too.

asyncssh finds the keys of a node in the lines of the file. Logins compare keys with the lines in
memory only, so two logins to one node at the same time see the same key. A new key is added in
memory first and written to the file afterwards. Lines that cannot be parsed stay in the file.
"""

from __future__ import annotations

import logging
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

log = logging.getLogger(__name__)


class Policy(msgspec.Struct, frozen=True):
    """Says which host keys and algorithms of a node are accepted.

    host_keys:
        "strict": the node's key must be known beforehand.
        "accept-new": the first key of a node is remembered, and any other key is refused later.
        "off": keys are not compared.
    legacy_algorithms: whether SHA-1 and CBC are offered too.
    """

    host_keys: HostKeyPolicy = "accept-new"
    legacy_algorithms: bool = False


class KnownHosts:
    """Knows the host keys of all nodes. All methods may be called from any thread.

    `accept` runs on the event loop during a login, so it changes only memory, and `flush` writes
    the file afterwards. `add` and `forget` block until the file is written.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file. Raises OSError, because without the file a changed key would look new."""
        self.path = path
        # `_lock` is held for a moment only, because the event loop waits for it in a login.
        # `_writing` is held while the file is read and written, which may take long, and is always
        # taken before `_lock`.
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._saved: list[str] = []  # the file when it was last read or written
        self._lines: list[str] = []  # `_saved` with the changes in `_unsaved`
        self._hosts: list[HostLine] = []  # the lines in `_lines` that have a key
        self._parsed = asyncssh.import_known_hosts("")  # `_hosts`, parsed by asyncssh
        self._unsaved: list[ChangeLines] = []
        self.load()

    def load(self) -> None:
        """Reads the file again. A missing file counts as empty. Raises OSError.

        This blocks while it reads, but other threads may call `trusted` meanwhile.
        """
        with self._writing:
            lines = self._read()
            # A damaged line protects its node no longer, so somebody has to know.
            for number, line in enumerate(lines, 1):
                if line.strip() and not line.lstrip().startswith("#") and not parse_line(line):
                    log.warning("%s:%d: ignored, since it has no host key", self.path, number)
            with self._lock:
                self._saved = lines
                self._replace_lines(self._apply(self._unsaved, lines))

    def trusted(self, host: str, port: int) -> tuple[PublicKey, ...]:
        """Returns the known keys of a node, without its revoked keys."""
        return self._keys(host, port)[0]

    def _keys(self, host: str, port: int) -> tuple[tuple[PublicKey, ...], tuple[PublicKey, ...]]:
        """Returns the known keys of a node, and its revoked keys."""
        with self._lock:
            # Pass the whole name and no port. With a port, asyncssh would also accept a line for
            # `host` alone.
            trusted, _, revoked, *_ = self._parsed.match(host_name(host, port), "", None)
        return tuple(map(public_key, trusted)), tuple(map(public_key, revoked))

    def check(self, host: str, port: int, key: PublicKey, policy: Policy) -> None:
        """Raises NodeFailed with host_key_changed or host_key_unknown if the key is not trusted.

        Remembers no key, because the node has not yet proved that it has the private key. If only
        other keys of the node are known, even of another type, the key counts as changed. An
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
        """Checks the key again, after the node has proved that it has the private key.

        With `accept-new` the first key of a node is remembered, for the next `flush` to write.
        Raises like `check`.
        """
        with self._lock:
            # Another connection may have remembered another key since the first check.
            self.check(host, port, key, policy)
            if policy.host_keys == "accept-new" and not self._is_trusted(host, port, key):
                # `_change` would do the same, but it would parse all other lines again, and many
                # nodes may log in for the first time at once.
                text = _line_of(host, port, key)
                self._unsaved.append(_add_keys(host, port, key))
                self._lines = [*self._lines, text]
                if (line := parse_line(text)) is not None:
                    self._hosts.append(line)
                    self._parsed.load(line.for_asyncssh)

    def add(
        self, node: str, *keys: str, check: Callable[[tuple[PublicKey, ...]], None] | None = None
    ) -> bool:
        """Trusts the keys as keys of the node, and writes them to the file.

        keys: texts that `parse_key` accepts.
        check: called with the known keys of the node, while no other key can be added. Raises if
            the new keys may not be added to the known keys.

        Returns False if all keys were trusted before. Raises InvalidNode, ValueError for a text
        that is not a key, the exception of `check`, and OSError if the file cannot be written.
        After an exception none of the new keys is trusted.
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
            self.save()  # the keys may be in memory and not yet in the file
        return bool(missing)

    def _is_trusted(self, host: str, port: int, key: PublicKey) -> bool:
        return key.fingerprint in {one.fingerprint for one in self.trusted(host, port)}

    def forget(self, node: str) -> int:
        """Removes the keys of exactly this node from the file. Returns how many lines have changed.

        A line for several names loses this name and stays for the others, with its comment. Lines
        with a wildcard and @revoked lines stay.

        Raises InvalidNode, and OSError if the file cannot be read or written. The keys then stay
        known.
        """
        name = host_name(*parse_node(node))
        self.load()  # a person may have added a line since the last read

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
        """Returns every line of the file with its name, in the order of the file.

        A line with several names is returned once for each name. See `node_name` for the names.
        """
        with self._lock:
            hosts = tuple(self._hosts)
        return tuple((node_name(name), line) for line in hosts for name in line.hosts.split(","))

    async def flush(self) -> None:
        """Writes the keys that `accept` has remembered, in a thread. Callers may share a write.

        Raises OSError.
        """
        if self._unsaved:
            await trio.to_thread.run_sync(self.save)

    def save(self) -> None:
        """Writes all unsaved changes to the file, by replacing it. Raises OSError.

        Reads the file again first, to keep the lines that a person has added meanwhile.
        """
        with self._writing:
            with self._lock:
                changes = tuple(self._unsaved)
            if not changes:
                return
            lines = self._apply(changes, self._read())
            text = "".join(f"{line}\n" for line in lines)
            replace_file(self.path, [text.encode("utf-8", "surrogateescape")], 0o600)
            # Changes that came while the file was written stay, and go into the next write.
            with self._lock:
                del self._unsaved[: len(changes)]
                self._saved = lines
                self._replace_lines(self._apply(self._unsaved, lines))

    def _save_or_undo(self, change: ChangeLines) -> None:
        try:
            self.save()
        except OSError:
            with self._writing, self._lock:
                if change in self._unsaved:  # otherwise another save has succeeded meanwhile
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
            # `read_text` would change the line ends of lines that a person has written.
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
    """Returns the line without this name, or None if the line has no other name.

    Returns the line unchanged if it does not have the name, is revoked or cannot be parsed.
    """
    line = parse_line(text)
    if line is None or line.revoked:
        return text
    hosts = line.hosts_without(name)
    return text.replace(line.hosts, hosts, 1) if hosts else None
