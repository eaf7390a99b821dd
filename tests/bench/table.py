"""PURE. Makes lines for a person of what is measured from inside: what, how much, and the aim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MB = 1_000_000


def rows_of(results: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    machine = results["machine"]
    size = f"{machine['cores']} cores, {machine['memory_gib']} GiB"
    yield f"machine: {size}, Python {machine['python']}", "", "aim"
    for name, rows in _ROWS.items():
        figures = results.get(name)
        if figures is not None:
            yield from rows(figures)


def _starvation(figures: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for found in figures.values():
        yield found["attack"], "", ""
        yield "    a fixed job, alone", f"{found['alone']:.1f} s", ""
        yield "    under attack", f"{found['under']:.1f} s", ""
        yield "    ratio, median of pairs", f"{found['ratio']:.2f}", "<= 2"
        ended = f"{found['succeeded']} of {found['rounds']}"
        yield "    jobs under attack that succeeded", ended, "all"
        yield "    the attacker's share of a processor", f"{found['attacker']:.0%}", ""


def _export(figures: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield f"{figures['gigabytes']} GiB exported as tar", f"{figures['ours'] / MB:.0f} MB/s", ""
    yield "the same files by `tar | tee >(sha256sum)`", f"{figures['theirs'] / MB:.0f} MB/s", ""
    yield "    how many times as long, median of pairs", f"{figures['longer']:.2f}", "1.1"
    yield "    how much of the processor's time", f"{figures['cpu']:.2f}", ""
    spent = "    of the processor's time, for each GiB: {}"
    for who in ("daemon", "client", "tar"):
        yield spent.format(who), f"{figures[f'{who}_cpu']:.2f} s", ""
    memory, idle = figures["daemon"], figures["daemon_idle"]
    yield "memory of the daemon meanwhile", f"{memory / MB:.0f} MB", f"{idle / MB:.0f} MB idle"
    yield "memory of the client", f"{figures['client'] / MB:.0f} MB", ""


_ROWS = {
    "export": _export,
    "starvation": _starvation,
}
