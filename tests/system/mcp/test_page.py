"""Makes the calls of the session in cucmmcp(1), as they are.

The answers must have what the page shows, but for ids, numbers and what `...` stands for. Simulated
nodes have no telephones: the calls about the collection are about a job with recorded traces.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.assistant import Person, ask, over_stdio
from rig.pages import ROOT, fenced
from system.mcp.conftest import CALL, Cluster

pytestmark = pytest.mark.long

PAGE = ROOT / "ctl/man/cucmmcp.1.md"


def session() -> Iterator[tuple[str, dict[str, object], list[tuple[str, str]]]]:
    """Yields each call of the page: tool, arguments, and what the answer has."""
    [text] = [text for kind, text in fenced(PAGE) if kind == "text"]
    for block in re.split(r"\n+(?=\w)", text.strip()):
        call, *shown = block.splitlines()
        tool, _, arguments = call.partition(" ")
        yield tool, json.loads(arguments), [tuple(line.strip().split(": ", 1)) for line in shown]


def pattern(shown: str) -> str:
    free = re.sub(r"[\d,]*\d", "\0", shown)
    return ".*".join(map(re.escape, free.split(" ... "))).replace(re.escape("\0"), r"[\d,]+")


async def test_session_of_the_page(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    options = ("--operate", "--export-folder", str(tmp_path))
    person, ids = Person(), dict[str, str]()
    async with over_stdio(cluster.daemon.socket, *options, person=person) as client:
        for tool, arguments, shown in session():
            if "job" in arguments:
                arguments["job"] = ids[str(arguments["job"])]
            answer = await ask(client, tool, **arguments)
            for member, text in shown:
                if member == "asks":
                    assert person.asked.pop().endswith(text)
                elif member == "job_id":
                    ids[text] = CALL if arguments["kind"] == "collect" else answer[member]
                else:
                    expected = re.sub(r"\b[0-9a-f]{12}\b", lambda one: ids[one[0]], text)
                    found = json.dumps(answer[member], separators=(",", ":"))
                    assert re.search(pattern(expected), found), (tool, member, answer)
    assert person.asked == []
