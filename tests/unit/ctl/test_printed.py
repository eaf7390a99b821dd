"""What commands print is shown as it comes, and the outputs of a node stand together."""

import json
from collections.abc import Iterator, Sequence

import pytest

from cucmctl import DaemonUnavailable
from cucmctl.commands.run import Outputs
from cucmd.protocol.cases import CommandOutput
from cucmd.protocol.jobs import Job, WatchReply


class Daemon:
    """Has as much of a client as is needed. `kept`: how many outputs a node has by now."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}
        self.asked: list[str] = []
        self.gone = False

    def output(self, job_id: str, nodes: Sequence[str]) -> Iterator[CommandOutput]:
        (node,) = nodes
        self.asked.append(node)
        for number in range(1, self.kept.get(node, 0) + 1):
            yield CommandOutput(node, number, f"c{number}", "half ", ended=False, complete=True)
            if self.gone:
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
    """What was printed since the last time: the node and the number of each output."""

    def _heads() -> list[str]:
        lines = capsys.readouterr().out.splitlines()
        heads = [line for line in lines if line.startswith("=== ")]
        assert lines.count("half whole") == len(heads)
        return [head.removeprefix("=== ").replace(": c", "") for head in heads]

    return _heads


def test_an_output_is_printed_while_the_next_command_runs(followed: Followed, heads) -> None:
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


def test_the_outputs_of_a_node_stand_together(followed: Followed, heads) -> None:
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


def test_a_node_that_says_nothing_holds_back_none(followed: Followed, heads) -> None:
    followed.show(a=("running", 0), b=("running", 0), c=("pending", 0))
    followed.show(a=("running", 0), b=("succeeded", 2), c=("running", 1))
    assert heads() == ["b1", "b2", "c1"]
    followed.show(a=("running", 0), b=("succeeded", 2), c=("succeeded", 1))
    assert heads() == []


def test_the_last_output_of_a_cancelled_node_is_printed_at_the_end(
    followed: Followed, heads
) -> None:
    followed.show(a=("running", 1), b=("running", 1))
    assert heads() == ["a1"]
    followed.show(a=("cancelled", 1), b=("running", 1))
    assert heads() == ["b1"]
    followed.show(a=("cancelled", 1), b=("succeeded", 1))
    followed.conclude(a=("cancelled", 2), b=("succeeded", 1))
    assert heads() == ["a2"]


def test_what_could_not_be_had_is_printed_once_when_the_daemon_is_back(
    followed: Followed, heads
) -> None:
    followed.show(a=("running", 1))
    followed.daemon.gone = True
    followed.show(a=("running", 2))
    followed.show(a=("failed", 2))
    assert heads() == ["a1"]
    followed.daemon.gone = False
    followed.show(a=("failed", 2))
    assert heads() == ["a2"]


def test_the_end_waits_for_a_daemon_that_went_away_once_the_job_had_ended(
    followed: Followed, heads, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.daemon.gone = True
    followed.show(a=("failed", 2))

    def comes_back(seconds: float) -> None:
        followed.daemon.gone = False

    monkeypatch.setattr("cucmctl.client.reconnect.time.sleep", comes_back)
    followed.conclude(a=("failed", 2))
    assert heads() == ["a1", "a2"]


def test_json_is_an_output_a_line_and_the_job_at_the_end(
    job, node, capsys: pytest.CaptureFixture
) -> None:
    followed = Followed(job, node, as_json=True)
    followed.show(a=("running", 1))
    followed.conclude(a=("succeeded", 2))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(line) for line in lines] == [["output"], ["output"], ["job"]]
    assert [line["output"]["number"] for line in lines[:2]] == [1, 2]
    assert {line["output"]["text"] for line in lines[:2]} == {"half whole\n"}
