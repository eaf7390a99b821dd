"""Nodes of the lab whose `file get` has another form than the usual one."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("step", "question"),
    [("proceed", "proceed [y/n]? "), ("directory", "Download directory: ")],
)
async def test_a_question_that_is_not_asked(make_lab, inbox, client, step, question):
    async with client.logged_in(await make_lab(f"omit:{step}")) as terminal:
        await terminal.expect("admin:")
        terminal.type("file get activelog syslog/secure\n")
        others = [asked for asked in inbox.answers() if asked[0] != question]
        assert len(others) == 5
        for other, answer in others:
            assert question not in await terminal.expect(other)
            terminal.type(answer + "\n")
        await terminal.expect("Transfer completed")
    assert len(inbox.files()) == 1


async def test_questions_in_another_order(make_lab, inbox, client):
    async with client.logged_in(await make_lab("reorder")) as terminal:
        await terminal.expect("admin:")
        terminal.type("file get activelog syslog/secure\n")
        proceed, *others = inbox.answers()
        for question, answer in (proceed, *reversed(others)):
            await terminal.expect(question)
            terminal.type(answer + "\n")
        await terminal.expect("Transfer completed")


async def test_a_refusal_in_words_of_its_own(make_lab, client):
    async with client.logged_in(await make_lab("refuse-command")) as terminal:
        await terminal.expect("admin:")
        terminal.type("file get activelog syslog/secure\n")
        await terminal.expect("% Invalid command 'file get'\r\nadmin:")


async def test_sizes_that_are_announced_twice(make_lab, client):
    async with client.logged_in(await make_lab("sizes-twice")) as terminal:
        await terminal.expect("admin:")
        terminal.type("file get activelog syslog/secure\n")
        said = await terminal.expect("proceed [y/n]? ")
    assert said.count("Number of files affected: 1\r\n") == 2


@pytest.mark.parametrize(("fault", "pushed"), [("completed-early", 1), ("completed-only", 0)])
async def test_completed_is_said_at_the_wrong_time(make_lab, inbox, client, fault, pushed):
    lab = await make_lab(fault)
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await client.get(terminal, inbox, "syslog/secure")
        await terminal.expect("Transfer completed")
        assert "completed" not in await terminal.expect("admin:")
    assert (len(inbox.files()), lab.counters.pushes_ever) == (pushed, pushed)
