"""Running commands on one node: what is kept, what ends a command, and what fails the node."""

import pytest
import trio

from cucmd import vos
from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code
from cucmd.job.node import Phase
from cucmd.job.run import Run
from cucmd.vos.questions import QUIET_KNOWN
from rig.scripted_node import Answer, answers

STATUS = "show status"
SERVICES = "utils service list"
DIAGNOSE = "utils diagnose test"
FIRST, SECOND = "001-show-status.txt", "002-utils-service-list.txt"


def asks(*before: str, question: str) -> Answer:
    """Prints lines and asks. Only Ctrl-C leads back to the prompt."""

    async def answer(node, line):
        if before:  # nothing at all would be the end of the connection
            await node.say(*before)
        while (typed := await node.ask(question)) != "^C":
            assert typed == "", f"{typed!r} was typed into a question"

    return answer


async def hangs(node, line):
    await node.say("the first line")
    while True:
        await node.read_line()


@pytest.fixture
def run(play):
    """Returns a function that runs commands on a node which prints this, or what it prints."""

    def run(printed, *commands, seconds=None, **options):
        return play(answers(printed), Run(commands or tuple(printed), seconds), **options)

    return run


def test_each_output_is_kept(run):
    done = run({STATUS: ["Host Name : x", "", "Uptime:"], SERVICES: ["System SSH [STARTED]"]})
    assert (done.failure, done.notes) == (None, ())
    assert done.node.lines == [vos.PAGER_OFF, STATUS, SERVICES, "quit"]
    assert done.output(FIRST) == "Host Name : x\n\nUptime:\n"
    assert done.output(SECOND) == "System SSH [STARTED]\n"
    assert done.kept == [(FIRST, True), (SECOND, True)]
    assert done.report.written[0].path == f"cucm-pub/output/{FIRST}"
    assert done.report.written[1].size == 21
    assert len(done.report.written[1].sha256) == 64
    assert done.report.phases[-3:] == [Phase.PREPARE, Phase.COMMAND, Phase.CLOSE]


async def prints_a_log_of_commands(node, line):
    await node.say("admin:", end="")
    await trio.sleep(QUIET_KNOWN)  # the loop finds both in one turn: this, and that it is over
    await node.say("set cli pagination off", "the end")


async def pages(node, line):
    await node.say("one")
    await node.say("Press <enter> for 1 line, <space> for one page, or <q> to quit", end="")
    assert await node.read_keys() == b" "
    await node.say("\r\x1b[Ktwo")


@pytest.mark.parametrize(
    ("printed", "output"),
    [
        (["it is PlatformSecret"], "it is *****\n"),
        (pages, "one\ntwo\n"),
        (prints_a_log_of_commands, "admin:set cli pagination off\nthe end\n"),
    ],
    ids=["a password", "a pager", "a prompt in the output"],
)
def test_what_an_output_has(run, printed, output):
    done = run({STATUS: printed}, STATUS, SERVICES)
    assert (done.failure, done.output(FIRST)) == (None, output)
    assert done.kept == [(FIRST, True), (SECOND, True)]


def test_a_failed_retry_keeps_the_output(run):
    run({STATUS: ["Host Name : x"]})
    done = run({STATUS: hangs}, first_attempt=2)
    second = FIRST.replace(".txt", ".attempt-2.txt")
    assert (done.code, done.kept) == (Code.COMMAND_TIMEOUT, [(second, False)])
    assert (done.output(FIRST), done.output(second)) == ("Host Name : x\n", "the first line\n")


def test_the_name_of_an_output_is_safe(run):
    with pytest.raises(vos.InvalidArgument):
        vos.parse_command("file search activelog /cm/trace/../x")
    done = run(
        {"file search activelog cm/trace/ccm/sdl/* [Ee]rror.* reltime hours 2 ignorecase": ["x"]}
    )
    name = "001-file-search-activelog-cm-trace-ccm-sdl-Ee-rror.-reltime-hour.txt"
    assert done.kept == [(name, True)]


def test_a_question_is_not_answered(run):
    printed = {DIAGNOSE: asks("Starting", question="Continue (y/n)?"), STATUS: ["Host Name : x"]}
    done = run(printed)
    assert done.code == Code.COMMAND_REFUSED
    assert "Continue (y/n)?" in done.failure.message
    assert done.node.lines == [vos.PAGER_OFF, DIAGNOSE, "^C", STATUS, "quit"]
    first, second = "001-utils-diagnose-test.txt", "002-show-status.txt"
    assert done.kept == [(first, False), (second, True)]
    assert done.output(first) == "Starting\n"


def test_a_question_without_end_fails_the_node(run):
    async def for_ever(node, line):
        while True:
            await node.ask("Continue (y/n)?")

    done = run({DIAGNOSE: for_ever}, DIAGNOSE, STATUS)
    assert done.code == Code.COMMAND_REFUSED
    assert done.seconds < 60
    assert set(done.node.lines[2:]) <= {"^C", "", "quit"}, "nothing is typed that answers"


@pytest.mark.parametrize(
    ("line", "seconds", "after"),
    [(STATUS, None, 60), (DIAGNOSE, None, 900), (STATUS, 7.0, 7), (DIAGNOSE, 7.0, 7)],
)
def test_a_hanging_command_ends_the_node(run, line, seconds, after):
    done = run({line: hangs}, line, SERVICES, seconds=seconds)
    assert done.code == Code.COMMAND_TIMEOUT
    assert done.failure.message.startswith(f"TimeoutError: Timed out after {after}s in '{line}'")
    assert after <= done.seconds < after + 10
    assert SERVICES not in done.node.lines
    assert [complete for _, complete in done.kept] == [False]
    assert done.output() == "the first line\n"
    assert "^C" in done.node.lines, "the command is stopped before the connection is closed"


def test_a_refused_command_fails_the_node_later(run):
    printed = {"show memory size": ["Executed command unsuccessfully"], STATUS: ["Host Name : x"]}
    done = run(printed)
    message = done.failure.message
    assert done.code == Code.COMMAND_REFUSED
    assert message.startswith("1 of 2 ")
    assert message.endswith("'show memory size': the node said: Executed command unsuccessfully")
    assert [complete for _, complete in done.kept] == [True, True]


def no_space(node):
    node.shortage = lambda descriptor: "1 MiB of the disk is free"


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"quota": Quota(Allowance(10), Allowance(0))}, Code.QUOTA_EXCEEDED, "limits.node_bytes"),
        ({"arrange": no_space}, Code.DISK_FULL, "1 MiB"),
    ],
)
def test_no_room_fails_the_node(run, folder, options, code, words):
    done = run({STATUS: ["x" * 20]}, **options)
    assert (done.code, done.kept) == (code, [])
    assert words in done.failure.message
    assert list((folder / "output").glob("*")) == []


def test_a_lost_connection_fails_the_node(run):
    async def cuts(node, line):
        await node.say("one")
        raise trio.BrokenResourceError

    done = run({STATUS: ["x"], SERVICES: cuts})
    assert (done.code, done.kept) == (Code.CONNECTION_LOST, [(FIRST, True)])
