"""A snapshot at the end of a collection: what is run and kept, and that nothing fails for it."""

from datetime import UTC, datetime

import pytest
import trio

from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code
from cucmd.job.collect import Collect
from cucmd.job.health import BAD, GOOD, UNREAD, HealthCheck
from cucmd.job.node import Phase
from cucmd.vos.forms import SNAPSHOT as FORMS
from rig.scripted_node import answers, appliance, matches_nothing, pushes
from unit.work.test_run import asks, hangs

STATUS, VERSION, SERVICES, CORES = FORMS
PATH = "cm/trace/ccm/sdl"
GET = f"file get activelog {PATH}"
FIRST = "001-show-status.txt"
SNAPSHOT = Collect((PATH,), snapshot=FORMS)
LOOK = Collect((PATH,), health=HealthCheck(("disk", "services", "cores")))
question = asks(question="Continue (y/n)?")


async def closes(node, line):
    node.hang_up()
    await trio.sleep_forever()


@pytest.fixture
def collect(play):
    """Returns a function that collects one file and takes a snapshot of a node that prints this."""

    def collect(printed, request=SNAPSHOT, **options):
        return play(answers({GET: pushes(5), **printed}), request, **options)

    return collect


def test_commands_run_after_the_last_path(collect):
    done = collect({STATUS: ["Host Name : x"], CORES: ["No core files found"]})
    assert (done.failure, done.notes, done.counted) == (None, (), ["0-0.txt"])
    typed = [line for line in done.node.lines if line in (*FORMS, GET, "quit")]
    assert typed == [GET, *FORMS, "quit"]
    assert done.kept == [
        (FIRST, True),
        ("002-show-version-active.txt", True),
        ("003-utils-service-list.txt", True),
        ("004-utils-core-active-list.txt", True),
    ]
    assert done.output(FIRST) == "Host Name : x\n"
    assert done.report.phases[-4:] == [Phase.TRANSFER, Phase.CLOSE, Phase.COMMAND, Phase.CLOSE]


def test_nothing_runs_without_a_request(play):
    done = play(answers({GET: pushes(5)}), Collect((PATH,)))
    assert (STATUS in done.node.lines, done.kept) == (False, [])


@pytest.mark.parametrize(
    ("version", "kept", "words"),
    [
        (["% Invalid command"], 4, "% Invalid command"),
        (question, 4, "Continue (y/n)?"),
        (hangs, 2, "Timed out after 60s"),
        (closes, 1, "connection"),
    ],
)
def test_what_goes_wrong_is_a_note(collect, version, kept, words):
    done = collect({VERSION: version})
    (note,) = done.notes
    assert words in note
    assert (len(done.kept), len(done.counted)) == (kept, 1)


def test_it_ends_before_the_deadline(collect):
    # In the first command: while an output is written, in a thread, virtual time goes on.
    done = collect({STATUS: hangs}, cancel_after=30)
    assert not done.cancelled
    assert 28 < done.seconds < 35, "the session is closed in its grace period"
    assert (len(done.notes), done.kept, len(done.counted)) == (1, [], 1)


@pytest.mark.parametrize("ends", [False, True])
def test_an_earlier_command_is_ended_first(play, ends):
    """The node is asked for its time after the last path, and does not answer."""
    now = datetime.now(UTC)

    async def status(node, line):
        if not ends:
            await hangs(node, line)
        elif node.lines.count(STATUS) == 1:
            await question(node, line)

    request = Collect((PATH,), snapshot=FORMS, since=datetime(2026, 7, 1, tzinfo=UTC), last="2h")
    done = play(appliance(pushes(5), status=status), request, asked_at=now)
    assert done.node.lines.count(STATUS) == (2 if ends else 1)
    assert (CORES in done.node.lines) is ends
    assert (len(done.notes), len(done.kept)) == ((0, 4) if ends else (1, 0))
    assert len(done.counted) == 1


@pytest.mark.parametrize(
    ("services", "states", "noted"),
    [
        (["A Cisco DB[STARTED]"], [GOOD, GOOD, GOOD], False),
        (["Cisco Tomcat[STOPPED]"], [GOOD, BAD, GOOD], False),
        (["% Invalid command"], [GOOD, UNREAD, GOOD], False),
        (hangs, [GOOD], True),
        (closes, [GOOD], True),
    ],
)
def test_it_may_be_a_health_check(collect, services, states, noted):
    printed = {
        STATUS: ["Disk/logging  69234984K  5315340K  60379628K (42%)"],
        SERVICES: services,
        CORES: ["No core files found"],
    }
    done = collect(printed, LOOK)
    assert [one.state for one in done.result.findings] == states
    assert (done.failure, bool(done.notes), len(done.counted)) == (None, noted, 1)


def no_space(node):
    node.shortage = lambda descriptor: "no space is left"


@pytest.mark.parametrize("arranged", ["disk", "quota", "folder"])
def test_an_output_that_is_not_kept(collect, folder, arranged):
    options = {"arrange": no_space} if arranged == "disk" else {}
    if arranged == "quota":
        options = {"quota": Quota(Allowance(6), Allowance(0))}
    if arranged == "folder":
        folder.mkdir()
        (folder / "output").write_text("in the way")
    done = collect({STATUS: ["more than six bytes"]}, **options)
    assert (len(done.notes), done.kept, len(done.counted)) == (1, [], 1)


def test_a_node_without_files_has_one_too(play):
    done = play(answers({GET: matches_nothing}), SNAPSHOT)
    assert done.code == Code.NO_FILES_MATCHED
    assert CORES in done.node.lines


def test_a_retry_keeps_the_earlier_snapshot(collect):
    collect({STATUS: ["Host Name : x"]})
    done = collect({STATUS: hangs}, first_attempt=2)
    assert done.output(FIRST) == "Host Name : x\n"
    assert done.kept == [(FIRST.replace(".txt", ".attempt-2.txt"), False)]
