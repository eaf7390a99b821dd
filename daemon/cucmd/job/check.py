"""PURE. Declares a check of nodes before a collection: what is asked for, and what is seen on a
node.

What was not reached is None. A step that was tried and failed is False, or a word that says so; why
it failed is the failure of the node.
"""

from collections.abc import Iterator

from cucmd.job.kind import Kind, Result


class Checked(Result, frozen=True):
    """Says what a check has seen on a node, in the order of the steps.

    reachable      a TCP connection was opened
    host_key       known, new (no key was known before, this one is remembered now), changed,
                   unknown (only a known one is accepted), or unchecked (no key is compared)
    login          the password was accepted, and a shell opened
    prompt         the prompt of the appliance came
    product        as the node calls itself in the table of its cluster
    zone           its time zone by name
    clock_ahead    seconds by which its clock is ahead of ours; negative: behind
    logging_total, logging_free  of the partition with the logs, in bytes
    receiver       whether a file came to the receiver: ok, failed, or not_asked
    """

    reachable: bool | None = None
    host_key: str | None = None
    login: bool | None = None
    prompt: bool | None = None
    product: str | None = None
    version: str | None = None
    zone: str | None = None
    clock_ahead: float | None = None
    logging_total: int | None = None
    logging_free: int | None = None
    receiver: str | None = None

    def summary_lines(self) -> Iterator[str]:
        yield ", ".join(self._seen())

    def _seen(self) -> Iterator[str]:
        for name in ("reachable", "login", "prompt"):
            if (done := getattr(self, name)) is not None:
                yield f"{name}: {'yes' if done else 'no'}"
        for name in ("host_key", "product", "version", "zone"):
            if (said := getattr(self, name)) is not None:
                yield f"{name.replace('_', ' ')} {said}"
        if self.clock_ahead is not None:
            yield f"clock {self.clock_ahead:+g} s"
        if self.logging_free is not None:
            yield f"{self.logging_free:,} bytes free for logs"
        if self.receiver is not None:
            yield f"receiver {self.receiver.replace('_', ' ')}"


class Check(Kind, frozen=True, tag="check"):
    """Looks whether a collection from a node can be expected to work, and changes nothing on it.

    `receiver`: gets one small file too, which shows that the node reaches the receiver.
    """

    title = "Nodes checked"
    result_type = Checked
    prepares = True

    receiver: bool = False
