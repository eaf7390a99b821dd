"""The view of `run`: outputs come early, and those of a node stay together."""

from collections.abc import Iterator, Sequence

import pytest

from cucmctl import DaemonUnavailable
from cucmctl.commands.run import Outputs
from cucmd.protocol.cases import CommandOutput
from cucmd.protocol.jobs import Job, WatchReply


class Daemon:
    """A client that only has `output`. `kept` is the number of outputs of each node."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}
        self.asked: list[str] = []
        self.gone = self.comes_back = False

    def output(self, job_id: str, nodes: Sequence[str]) -> Iterator[CommandOutput]:
        (node,) = nodes
        self.asked.append(node)
        for number in range(1, self.kept.get(node, 0) + 1):
            yield CommandOutput(node, number, f"c{number}", "half ", ended=False, complete=True)
            if self.gone:
                self.gone = not self.comes_back
                raise DaemonUnavailable("it has gone")
            yield CommandOutput(node, number, f"c{number}", "whole\n", ended=True, complete=True)


class Followed:
    """A job of some nodes, each with a status and its outputs."""

    def __init__(self, make_job, make_node, *, as_json: bool = False) -> None:
        self._make = make_job, make_node
        self.daemon = Daemon()
        self.view = Outputs(self.daemon, as_json=as_json, reconnect=60)

    def job(self, status: str = "running", **nodes: tuple[str, int]) -> Job:
        make_job, make_node = self._make
        self.daemon.kept = {name: kept for name, (_, kept) in nodes.items()}
        of_job = [
            make_node(name, state, files_received=kept, bytes_received=kept * 11)
            for name, (state, kept) in nodes.items()
        ]
        return make_job(*of_job, status=status)

    def show(self, **nodes: tuple[str, int]) -> None:
        self.view.show(WatchReply(0, 0, self.job(**nodes)))

    def conclude(self, **nodes: tuple[str, int]) -> None:
        self.view.conclude(self.job("partial", **nodes))


@pytest.fixture
def followed(job, node) -> Followed:
    return Followed(job, node)


@pytest.fixture
def heads(capsys: pytest.CaptureFixture):
    """Returns node and number of each output that was printed since the last call."""

    def _heads() -> list[str]:
        lines = capsys.readouterr().out.splitlines()
        heads = [line for line in lines if line.startswith("=== ")]
        assert lines.count("half whole") == len(heads)
        return [head.removeprefix("=== ").replace(": c", "") for head in heads]

    return _heads


def test_outputs_are_printed_early(followed: Followed, heads) -> None:
    followed.show(a=("running", 0))
    assert heads() == []
    followed.show(a=("running", 1))
    assert heads() == ["a1"]
    followed.show(a=("running", 1))
    assert (heads(), followed.daemon.asked) == ([], ["a"]), "only after new figures"
    followed.show(a=("running", 3))
    assert heads() == ["a2", "a3"]
    followed.show(a=("succeeded", 4))
    assert heads() == ["a4"]
    followed.conclude(a=("succeeded", 4))
    assert heads() == []


def test_outputs_of_a_node_stay_together(followed: Followed, heads) -> None:
    followed.show(a=("running", 0), b=("running", 1), c=("running", 1))
    assert heads() == ["b1"], "the first that has printed something"
    followed.show(a=("running", 1), b=("running", 1), c=("succeeded", 2))
    assert heads() == []
    followed.show(a=("running", 1), b=("running", 2), c=("succeeded", 2))
    assert heads() == ["b2"]
    followed.show(a=("running", 1), b=("failed", 3), c=("succeeded", 2))
    assert heads() == ["b3", "c1", "c2", "a1"]
    followed.show(a=("succeeded", 2), b=("failed", 3), c=("succeeded", 2))
    assert heads() == ["a2"]


def test_silent_node_delays_nobody(followed: Followed, heads) -> None:
    followed.show(a=("running", 0), b=("running", 0), c=("pending", 0))
    followed.show(a=("running", 0), b=("succeeded", 2), c=("running", 1))
    assert heads() == ["b1", "b2", "c1"]
    followed.show(a=("running", 0), b=("succeeded", 2), c=("succeeded", 1))
    assert heads() == []


def test_missed_outputs_come_later(followed: Followed, heads) -> None:
    followed.show(a=("running", 1))
    followed.daemon.gone = True
    followed.show(a=("running", 2))
    followed.show(a=("failed", 2))
    assert heads() == ["a1"]
    followed.daemon.gone = False
    followed.show(a=("failed", 2))
    assert heads() == ["a2"]


def test_end_waits_for_the_daemon(followed: Followed, heads) -> None:
    followed.daemon.gone = True
    followed.show(a=("failed", 2))
    followed.daemon.comes_back = True
    followed.conclude(a=("failed", 2))
    assert heads() == ["a1", "a2"]
