"""Tests `cucmd lab` with unicon, the vendor's client, set up for nothing but `os: vos`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio

import rig
from cucmlab import answers
from cucmlab.laboratory import Lab
from cucmlab.options import Extra
from rig.unicon_client import reason_to_skip

reason = reason_to_skip()
pytestmark = pytest.mark.skipif(reason is not None, reason=str(reason))

PAGER = "\x1b[1mPress <enter> for 1 line, <space> for one page, or <q> to quit\x1b[0m"

Command = tuple[str, Sequence[tuple[str, str]]]


class Session(NamedTuple):
    outputs: list[list[str]]  # the lines of each command
    terminal: str


async def session(lab: Lab, *commands: str | Command) -> Session:
    """Runs the commands on the first node of the lab."""
    wanted: dict[str, Any] = {
        "address": lab.addresses[0],
        "username": lab.username,
        "password": lab.password,
        "commands": [(one, []) if isinstance(one, str) else one for one in commands],
    }
    paths = [str(Path(str(rig.__file__)).parents[1]), os.environ.get("PYTHONPATH", "")]
    with trio.fail_after(90):
        done = await trio.run_process(
            [sys.executable, "-m", "rig.unicon_client"],
            stdin=json.dumps(wanted).encode(),
            capture_stdout=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
    found = json.loads(done.stdout)
    with trio.fail_after(20):
        total = await lab.wait_until_idle()
    assert (total.logins, total.logins_refused, total.defects) == (1, 0, 0)
    outputs = [output.replace("\r\n", "\n").splitlines() for output in found["outputs"]]
    return Session(outputs, found["terminal"])


async def test_unicon_reads_answers(make_lab):
    lab = await make_lab(nodes=2)
    commands = ("show version active", "utils service list", "show network cluster", "show stats")
    (version, services, cluster, unknown), _ = await session(lab, *commands)
    assert version == list(answers.VERSION_ACTIVE)
    assert [line.rstrip() for line in services] == [line.rstrip() for line in answers.SERVICES]
    assert cluster[-3:] == ["-" * 34, "127.1.0.1", "127.1.0.2"]
    assert unknown == ["No valid command entered"]


async def test_unicon_turns_pages(make_lab):
    lab = await make_lab(files=60)
    listing = "file list activelog cm/trace/ccm/sdl detail"
    commands = ("set cli pagination on", "show status", f"{listing} page reverse", listing)
    (_, status, paged, whole), terminal = await session(lab, *commands)
    assert (status[1], status[-1]) == (
        "Host Name          : cucm-pub",
        "Disk/logging        69234984K       25621038K       40073930K (61%)",
    )
    assert terminal.count(PAGER) == 1 + 2
    assert paged[-1] == whole[-1] == "dir count = 0, file count = 60"
    # Without the times, which move on between the two.
    assert [line[20:] for line in paged[-2::-1]] == [line[20:] for line in whole[:-1]]


async def test_unicon_collects_files(make_lab, inbox):
    lab = await make_lab(extra_question=Extra.AFTER, ask_host_key=True)
    dialogue = [
        (r"answer 'y' for <yes> or 'n' for <no>:", "y"),
        (r"proceed \[y/n\]\?", "y"),
        (r"SFTP server IP:", "127.0.0.1"),
        (r"SFTP server port \[22\]:", str(inbox.port)),
        (r"User ID:", inbox.username),
        (r"Password:", inbox.password),
        (r"Download directory:", "/"),
        (r"connecting \(yes/no\)\?", "yes"),
    ]
    (output, version), terminal = await session(
        lab, ("file get activelog syslog/secure*", dialogue), "show version active"
    )
    assert output[-1].startswith("Transfer completed")
    assert version == list(answers.VERSION_ACTIVE)
    assert inbox.password not in terminal
    assert len(inbox.files()) == 3
