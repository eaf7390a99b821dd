"""Tests answers about files that strangers have made, with a real daemon."""

import pytest
import trio
from mcp import Client

from rig.assistant import Assistant, ask, refusal
from rig.pages import ROOT
from system.mcp.conftest import HOSTILE, INSTRUCTION, LONG, MANY

# The SDK's client does not close a stream of httpx2 that it has not read to its end.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


async def test_list_of_tools_is_short(web_assistant: Assistant) -> None:
    async with web_assistant() as client:
        tools = await client.list_tools()
    assert len(tools.tools) <= 12
    assert len(tools.model_dump_json(by_alias=True, exclude_none=True).encode()) <= 16_000


async def test_page_names_each_tool(web_assistant: Assistant) -> None:
    page = (ROOT / "ctl/man/cucmmcp.1.md").read_text()
    async with web_assistant() as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools if f"`{tool.name}`" not in page] == []


async def test_annotations_say_what_changes(web_assistant: Assistant) -> None:
    async with web_assistant() as client:
        tools = (await client.list_tools()).tools
    assert {t.name for t in tools if not t.annotations.read_only_hint} == {
        "start",
        "cancel",
        "export",
    }
    assert {t.name for t in tools if t.annotations.destructive_hint} == {"cancel"}
    assert all(tool.title and tool.output_schema for tool in tools)


async def test_instructions_are_data(web_assistant: Assistant) -> None:
    async with web_assistant() as client:
        [match] = (await ask(client, "find", job=MANY, text="Ignore all"))["items"]
    assert match == {"node": "pub", "path": HOSTILE, "number": 1, "line": INSTRUCTION}


async def test_control_characters_are_visible(web_assistant: Assistant) -> None:
    async with web_assistant() as client:
        lines = await ask(client, "read", job=MANY, node="pub", path=HOSTILE, cursor=1)
    assert lines["items"][0].startswith(r"2: \x1b[2J")
    assert all(line.isprintable() for line in lines["items"])


async def test_lines_are_read_in_pages(web_assistant: Assistant) -> None:
    async with web_assistant() as client:
        where = {"job": MANY, "node": "pub", "path": HOSTILE}
        first = await ask(client, "read", **where)
        second = await ask(client, "read", **where, cursor=first["next"])
        last = await ask(client, "read", **where, cursor=2002)
        assert "is no file" in await refusal(client, "read", **where | {"path": "none"})
        assert "2,003 lines" in await refusal(client, "read", **where, cursor=9999)
    assert first["left_out"].startswith(f"lines 1 to {first['next']} of 2,003; go on with cursor")
    assert first["next"] > 200
    assert second["items"][0] == f"{first['next'] + 1}: filler {first['next'] - 3}"
    assert last["items"] == ["2003: filler 1999"]


async def test_one_line_of_100_mb(web_assistant: Assistant) -> None:
    async with web_assistant() as client:
        found = await ask(client, "find", job=MANY, text="NEEDLE", path="long")
        lines = await ask(client, "read", job=MANY, node="pub", path=LONG)
    assert "NEEDLE" in found["items"][0]["line"]
    assert [line[:4] for line in lines["items"]] == ["1: x"]


async def all_of(client: Client, tool: str, **arguments: object) -> list[dict]:
    items: list[dict] = []
    cursor = 0
    while True:
        page = await ask(client, tool, cursor=cursor, **arguments)
        items += page["items"]
        if (cursor := page.get("next")) is None:
            return items
        assert "narrow" in page["left_out"]


async def test_pages_have_each_match_once(web_assistant: Assistant) -> None:
    async with web_assistant() as client:
        page = await ask(client, "find", job=MANY, text="SIP/2.0 503")
        found = await all_of(client, "find", job=MANY, text="SIP/2.0 503")
    places = [(match["node"], match["path"], match["number"]) for match in found]
    assert len(set(places)) == len(places) > 200
    assert page["says"][0].startswith(f"{len(places)} matches in ")
    assert [match["time"] for match in found] == sorted(match["time"] for match in found)


async def test_files_are_listed_in_pages(web_assistant: Assistant) -> None:
    async with web_assistant() as client:
        files = await all_of(client, "files", job=MANY)
    assert len(files) == 8


async def test_missing_logs_are_named(web_assistant: Assistant) -> None:
    async with web_assistant() as client:
        found = await ask(client, "find", job=MANY, text="no such text")
    assert found["items"] == []
    assert found["missing"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("job", {"job": "ffffffffffff"}),
        ("find", {"job": MANY}),
        ("find", {"job": MANY, "regex": "("}),
        ("find", {"job": MANY, "text": "x", "cursor": "wrong"}),
        ("find", {"job": MANY, "text": "x", "context": 99}),
        ("find", {"job": MANY, "text": 5, "nodes": {"a": [None]}}),
        ("find", {"job": MANY, **dict.fromkeys(map("x{}".format, range(10_000)))}),
        ("files", {"job": MANY, "cursor": "9" * 5000}),
        ("read", {"job": MANY, "node": "nobody", "path": HOSTILE}),
        ("profiles", {"name": "none"}),
        ("health", {}),
        ("jobs", {"since": "yesterday"}),
    ],
)
async def test_wrong_questions_are_refused(
    web_assistant: Assistant, tool: str, arguments: dict[str, object]
) -> None:
    async with web_assistant() as client:
        text = await refusal(client, tool, **arguments)
    assert "Traceback" not in text
    assert len(text) <= 2000


async def test_cancelled_search_leaves_nothing(web_assistant: Assistant) -> None:
    async with web_assistant() as client:
        with trio.move_on_after(0.3) as scope:
            await ask(client, "find", job=MANY, regex="x*z", path="long")
        assert scope.cancelled_caught
        assert (await ask(client, "job", job=MANY))["job_id"] == MANY
