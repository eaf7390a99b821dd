"""Tests the first hour of an assistant with a real daemon and simulated nodes."""

from functools import partial

import pytest
import trio

from rig.assistant import GENERATIONS, Assistant, Person, ask, refusal

# The SDK's client does not close a stream of httpx2 that it has not read to its end.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


START = {"kind": "check", "nodes": ["berlin"]}


@pytest.fixture(params=["stdio", "http"])
def operator(
    request: pytest.FixtureRequest, assistant: Assistant, web_assistant: Assistant
) -> Assistant:
    """Connects a client that may operate, over each transport."""
    return web_assistant if request.param == "http" else partial(assistant, "--operate")


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_first_hour(operator: Assistant, mode: str) -> None:
    person = Person("decline")
    async with operator(person=person, mode=mode) as client:
        assert "did not allow" in await refusal(client, "start", **START)
        person.allows()
        [cluster] = (await ask(client, "clusters", name="berlin"))["items"]
        assert len(cluster["nodes"]) == 2
        checked = await ask(client, "start", kind="health", nodes=["berlin"])
        await ask(client, "wait", job=checked["job_id"])
        health = await ask(client, "health", job=checked["job_id"])
        assert (health["job_id"], health["status"]) == (checked["job_id"], "succeeded")
        collection = {"paths": ["cm/trace/ccm/sdl"], "last": "2h"}
        job = (await ask(client, "start", kind="collect", nodes=["berlin"], **collection))["job_id"]
        command = "cucmctl start berlin --path cm/trace/ccm/sdl --last 2h"
        assert person.asked[-1].endswith(command)
        assert (await ask(client, "wait", job=job))["status"] == "succeeded"
        files = await ask(client, "files", job=job, path="sdl")
        found = await ask(client, "find", job=job, regex=".", path="sdl")
        first = found["items"][0]
        assert first["path"] in [file["path"] for file in files["items"]]
        where = {"node": first["node"], "path": first["path"], "cursor": first["number"] - 1}
        lines = await ask(client, "read", job=job, **where)
        assert lines["items"][0] == f"{first['number']}: {first['line']}"
        dialogue = await ask(client, "read", job=job, node=first["node"], path="transcript")
        assert any("file get" in line for line in dialogue["items"])
        jobs = (await ask(client, "jobs", target="berlin"))["items"]
        assert [each["kind"] for each in jobs][:2] == ["collect", "health"]


async def test_output_of_a_command_is_read(web_assistant: Assistant) -> None:
    async with web_assistant(person=Person()) as client:
        started = await ask(client, "start", kind="run", nodes=["berlin"], commands=["show status"])
        await ask(client, "wait", job=started["job_id"])
        [file, _] = (await ask(client, "files", job=started["job_id"]))["items"]
        where = {"job": started["job_id"], "node": file["node"], "path": file["path"]}
        assert (await ask(client, "read", **where))["items"][0].startswith("1: ")


@pytest.mark.parametrize("mode", GENERATIONS)
@pytest.mark.parametrize(
    "person",
    [Person(allow=False), Person(allow="yes"), Person("decline"), Person("cancel")],
    ids=["no", "wrong type", "decline", "cancel"],
)
async def test_nothing_starts_without_consent(
    web_assistant: Assistant, mode: str, person: Person
) -> None:
    async with web_assistant(person=person, mode=mode) as client:
        before = await ask(client, "jobs")
        assert "did not allow" in await refusal(client, "start", **START)
        assert await ask(client, "jobs") == before


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_client_that_cannot_ask(operator: Assistant, mode: str) -> None:
    async with operator(mode=mode) as client:
        text = await refusal(client, "start", **START)
    assert "cannot ask" in text
    assert text.endswith("a person can type: cucmctl check berlin")


async def test_long_command_is_refused(web_assistant: Assistant) -> None:
    async with web_assistant(person=(person := Person())) as client:
        text = await refusal(client, "start", kind="check", nodes=["berlin"] * 1000)
    assert person.asked == []
    assert len(text) <= 2000


async def test_nothing_changes_without_the_option(assistant: Assistant) -> None:
    async with assistant(person=(person := Person())) as client:
        text = await refusal(client, "cancel", job="0a1b2c", nodes=["a b"])
        assert text.endswith("a person can type: cucmctl cancel 0a1b2c 'a b'")
        assert "--operate" in await refusal(client, "start", **START)
        assert "--operate" in await refusal(client, "export", job="0a1b2c")
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask, client, "jobs")
    assert person.asked == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "health", "last": "2h"},
        {"kind": "collect", "commands": ["show status"]},
        {"kind": "run"},
        {"kind": "check", "duration": 5},
        {"kind": "check", "password": "secret"},
    ],
)
async def test_arguments_of_other_kinds_are_refused(
    web_assistant: Assistant, arguments: dict[str, object]
) -> None:
    async with web_assistant(person=(person := Person())) as client:
        await refusal(client, "start", nodes=["berlin"], **arguments)
        assert person.asked == []


async def test_wait_reports_progress(web_assistant: Assistant) -> None:
    reports = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        reports.append((progress, total))

    async with web_assistant(person=Person()) as client:
        started = await ask(client, "start", **START)
        where = {"job": started["job_id"]}
        result = await client.call_tool("wait", where, progress_callback=report)
        assert result.structured_content["status"] == "succeeded"
    assert reports[-1] == (2, 2)
