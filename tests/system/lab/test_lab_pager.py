"""The pager of a lab node: when it asks, what its keys do, how long a page is."""

from __future__ import annotations

import pytest

from cucmd.lab.tree import Shape
from cucmd.ssh.bridge import on_asyncio

PAGER = "\x1b[1mPress <enter> for 1 line, <space> for one page, or <q> to quit\x1b[0m"
GONE = "\r\x1b[K"
LISTING = "file list activelog cm/trace/ccm/sdl"


async def pages(terminal, command, keys):
    """The lines that a command prints before each pager, then those before the prompt."""
    terminal.type(command + "\n")
    await terminal.expect(command + "\r\n")
    found = []
    for key in keys:
        found.append(await terminal.expect(PAGER))
        terminal.type(key)
        await terminal.expect(GONE)
    found.append((await terminal.expect("admin:")).removesuffix("admin:"))
    return [text.removesuffix(PAGER).splitlines() for text in found]


@pytest.fixture
async def terminal(make_lab, client):
    """Six rows, and a node whose traces are 30."""
    async with client.logged_in(await make_lab(shape=Shape(files=30)), rows=6) as terminal:
        await terminal.expect("admin:")
        yield terminal


async def test_space_is_a_page_enter_a_line_and_q_the_end(terminal):
    shown = await pages(terminal, f"{LISTING} page detail", [" ", "\r", "\n", " ", "q"])
    assert [len(lines) for lines in shown] == [5, 5, 1, 1, 5, 0]
    numbers = [int(line[-9:].split(".")[0]) for lines in shown for line in lines]
    assert numbers == list(range(74, 74 + 17))


async def test_other_keys_at_the_pager_do_nothing(terminal):
    terminal.type("show status\n")
    await terminal.expect(PAGER)
    terminal.type("xQ7\t")
    terminal.type("q")
    assert await terminal.expect("admin:") == f"{GONE}admin:"


async def test_ctrl_c_at_the_pager_ends_the_command(terminal):
    terminal.type("show status\n")
    await terminal.expect(PAGER)
    terminal.type("\x03")
    assert await terminal.expect("admin:") == "^C\r\nadmin:"


async def test_file_list_pages_only_when_asked(terminal):
    (lines,) = await pages(terminal, f"{LISTING} detail", [])
    assert len(lines) == 31
    await pages(terminal, f"{LISTING} detail page", ["q"])


async def test_pagination_can_be_turned_off_and_on(terminal):
    assert await terminal.run("set cli pagination off") == "Automatic pagination is turned off\n"
    (lines,) = await pages(terminal, f"{LISTING} page detail", [])
    assert len(lines) == 31
    assert "Disk/logging        69234984K" in await terminal.run("show status")
    await terminal.run("set cli pagination on")
    await pages(terminal, "show status", ["q"])


async def test_a_page_follows_the_size_of_the_window(terminal):
    terminal.type("show status\n")
    await terminal.expect(PAGER)

    async def resize():
        terminal.channel.change_terminal_size(80, 11)

    await on_asyncio(resize)
    terminal.type(" ")
    await terminal.expect(GONE)
    assert len((await terminal.expect(PAGER)).splitlines()) == 10 + 1


@pytest.mark.parametrize(("rows", "lines"), [(0, 23), (1, 1), (2, 1), (24, 23)])
async def test_the_lines_of_a_page(make_lab, client, rows, lines):
    async with client.logged_in(await make_lab(), rows=rows) as terminal:
        await terminal.expect("admin:")
        first, _ = await pages(terminal, "show status", ["q"])
    assert len(first) == lines


async def test_a_window_of_many_rows_needs_no_pager(make_lab, client):
    async with client.logged_in(await make_lab(), rows=1000) as terminal:
        await terminal.expect("admin:")
        (lines,) = await pages(terminal, "show status", [])
    assert len(lines) > 24
