"""PURE. Declares a check of nodes before a collection.

A step that failed is False, or a word such as "failed". The failure of the node says why.
"""

from collections.abc import Iterator

from cucmd.job.kind import Kind, Result


class Checked(Result, frozen=True):
    """Says what a check has seen on a node, in the order of the steps. A field is absent if its
    step was not reached.
    """

    # A TCP connection was opened.
    reachable: bool | None = None
    # "known". "new": no key was known before, and this one is remembered now. "changed". "unknown":
    # only known keys are accepted. "unchecked": keys are not compared.
    host_key: str | None = None
    # The password was accepted, and a shell opened.
    login: bool | None = None
    # The prompt of the node came.
    prompt: bool | None = None
    # What the node calls itself in the table of its cluster.
    product: str | None = None
    version: str | None = None
    # The name of the time zone.
    zone: str | None = None
    # Seconds by which the clock of the node is ahead of ours. Negative: behind.
    clock_ahead: float | None = None
    # Bytes of the partition with the logs.
    logging_total: int | None = None
    logging_free: int | None = None
    # Whether a file came to the receiver: "ok", "failed", or "not_asked".
    receiver: str | None = None

    def summary_lines(self) -> Iterator[str]:
        yield ", ".join(self._seen())

    def _seen(self) -> Iterator[str]:
        for name in ("reachable", "login", "prompt"):
            if (done := getattr(self, name)) is not None:
                yield f"{name}: {'yes' if done else 'no'}"
        for name in ("host_key", "product", "version", "zone"):
            if (value := getattr(self, name)) is not None:
                yield f"{name.replace('_', ' ')} {value}"
        if self.clock_ahead is not None:
            yield f"clock {self.clock_ahead:+g} s"
        if self.logging_free is not None:
            yield f"{self.logging_free:,} bytes free for logs"
        if self.receiver is not None:
            yield f"receiver {self.receiver.replace('_', ' ')}"


class Check(Kind, frozen=True, tag="check"):
    """Checks whether a collection from a node can be expected to work, and changes nothing on it.

    receiver  also collects one small file, which proves that the node can reach the receiver
    """

    title = "Nodes checked"
    result_type = Checked
    prepares = True
    keeps_files = False

    receiver: bool = False
