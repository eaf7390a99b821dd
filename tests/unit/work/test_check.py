"""A check of a node: what is observed at each step, and what follows from it."""

import gzip
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import trio
from msgspec.structs import replace

from cucmd import vos
from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code, NodeFailed, failure
from cucmd.job.check import Check, Checked
from cucmd.job.node import Phase
from cucmd.job.timeouts import Timeouts
from cucmd.node.ports import Retry
from cucmd.work.check import MOST_BYTES, smallest_file
from rig.scripted_node import COMPLETED, announce, answers, matches_nothing, pushes

BERLIN = ZoneInfo("Europe/Berlin")
PUB = "192.0.2.9 pub.example.org pub Publisher cups DBPub authenticated"
VERSION = ["Active Master Version: 15.0.1.11900-40", "No Installed Software Options Found."]
LISTING = "file list activelog platform/log detail"
SYSLOG = "file list activelog syslog detail"
FILES = [
    "02 Nov,2026 12:00:59        <dir>  old",
    "25 Nov,2026 21:45:43          300  cli00074.log",
    "24 Nov,2026 21:45:43       47,916  servm00074.log",
    "24 Nov,2026 21:45:43            0  empty.log",
    "26 Nov,2026 21:45:43            7  cli00075.log",
    "dir count = 1, file count = 4",
]
SMALL = "file get activelog platform/log/cli00074.log"
SEEN = Checked(
    reachable=True,
    host_key="known",
    login=True,
    prompt=True,
    product="cups",
    version="15.0.1.11900-40",
    zone="Europe/Berlin",
    clock_ahead=0.0,
    logging_total=1000 * 1024,
    logging_free=500 * 1024,
    receiver="not_asked",
)


def status(*, ahead=timedelta(), zone="(Europe/Berlin)", used=50):
    local = (datetime.now(UTC) + ahead).astimezone(BERLIN)
    return [
        f"Date               : {local:%a %b %d, %Y %H:%M:%S}",
        f"Time Zone          : CET {zone}",
        f"Disk/logging        1000K       {1000 - 10 * used}K       {10 * used}K ({used}%)",
    ]


@pytest.fixture
def check(play):
    """Returns a function that checks a healthy node, but for these answers."""

    def check(printed=None, *, receiver=False, **options):
        said = {
            vos.SHOW_STATUS: status(),
            vos.SHOW_VERSION: VERSION,
            vos.SHOW_CLUSTER: [PUB],
            LISTING: FILES,
            SMALL: pushes(300),
            **(printed or {}),
        }
        return play(answers(said), Check(receiver), **options)

    return check


async def never(node, line):
    await trio.sleep_forever()


def test_a_healthy_node(check):
    done = check()
    assert done.notes == ()
    assert abs(done.result.clock_ahead) <= 2  # the time of the test itself
    assert replace(done.result, clock_ahead=0.0) == SEEN
    asked = [vos.PAGER_OFF, vos.SHOW_STATUS, vos.SHOW_VERSION, vos.SHOW_CLUSTER]
    assert done.node.lines == [*asked, "quit"]
    assert done.node.targets == []
    assert done.report.phases == [Phase.LOGIN, Phase.PREPARE, Phase.COMMAND, Phase.CLOSE]


@pytest.mark.parametrize(
    ("policy", "knew_key", "said"),
    [
        ("accept-new", True, "known"),
        ("accept-new", False, "new"),
        ("strict", True, "known"),
        ("off", True, "unchecked"),
        ("off", False, "unchecked"),
    ],
)
def test_whether_the_host_key_was_known(check, policy, knew_key, said):
    done = check(arrange=lambda node: setattr(node, "knew_key", knew_key), host_keys=policy)
    assert done.result.host_key == said


def attempts_fail(*codes):
    """The first attempt comes to the login, and each fails with its code."""
    left = list(codes)

    async def open_shell(task, on_connected, on_phase, mask, report):
        await trio.lowlevel.checkpoint()
        code = left.pop(0)
        if len(left) == len(codes) - 1:
            on_connected()
            on_phase(Phase.LOGIN)
        raise NodeFailed(failure(code, "no"))

    return lambda node: setattr(node, "open_shell", open_shell)


def is_refused(code):
    return lambda node: node.refusals.append(failure(code, "no"))


@pytest.mark.parametrize(
    ("arrange", "code", "seen"),
    [
        (is_refused(Code.CONNECT_TIMEOUT), Code.CONNECT_TIMEOUT, Checked(reachable=False)),
        (is_refused(Code.HOST_KEY_CHANGED), Code.HOST_KEY_CHANGED, Checked(host_key="changed")),
        (is_refused(Code.HOST_KEY_UNKNOWN), Code.HOST_KEY_UNKNOWN, Checked(host_key="unknown")),
        (
            attempts_fail(Code.AUTH_FAILED),
            Code.AUTH_FAILED,
            Checked(reachable=True, host_key="known", login=False),
        ),
        (
            attempts_fail(Code.CONNECTION_LOST, Code.CONNECTION_REFUSED),
            Code.CONNECTION_REFUSED,
            Checked(reachable=False),
        ),
    ],
    ids=["unreachable", "changed key", "unknown key", "login", "the last attempt counts"],
)
def test_a_failed_login(check, arrange, code, seen):
    retry = Retry(2 if code == Code.CONNECTION_REFUSED else 1, 1, 15)
    done = check(arrange=arrange, retry=retry)
    assert (done.code, done.result) == (code, replace(seen, receiver="not_asked"))


def test_no_prompt(play):
    async def question(node):
        await node.say("Current password: ", end="")
        await trio.sleep_forever()

    done = play(question, Check())
    assert done.code == Code.LOGIN_QUESTION
    assert done.result == Checked(
        reachable=True, host_key="known", login=True, prompt=False, receiver="not_asked"
    )


@pytest.mark.parametrize("command", [vos.PAGER_OFF, vos.SHOW_STATUS, vos.SHOW_VERSION])
def test_a_silent_node_keeps_what_was_seen(check, command):
    done = check({command: never}, timeouts=Timeouts(answer=17))
    assert done.code == Code.COMMAND_TIMEOUT
    assert (done.result.prompt, done.result.version) == (True, None)
    assert (done.result.logging_free is not None) == (command == vos.SHOW_VERSION)


# Made when the test runs: the clock of the node is that of this moment.
ODD = {
    "ahead": lambda: {vos.SHOW_STATUS: status(ahead=timedelta(minutes=7))},
    "behind": lambda: {vos.SHOW_STATUS: status(ahead=timedelta(days=-30))},
    "no zone": lambda: {vos.SHOW_STATUS: status(zone="")},
    "no date": lambda: {vos.SHOW_STATUS: status()[1:]},
    "full": lambda: {vos.SHOW_STATUS: status(used=95)},
    "no partition": lambda: {vos.SHOW_STATUS: status()[:2]},
    "no version": lambda: {vos.SHOW_VERSION: ["Executed command unsuccessfully"]},
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_is_a_note(check, odd):
    done = check(ODD[odd]())
    assert (done.failure, len(done.notes)) == (None, 1)


def test_a_clock_decades_off_is_quoted(check):
    done = check({vos.SHOW_STATUS: ["Date : Thu Jan 01, 1970 00:15:59", *status()[1:]]})
    (note,) = done.notes
    assert (done.result.clock_ahead, "1970-01-01 00:15" in note) == (None, True)


@pytest.mark.parametrize("ahead", [420, -2_592_000, 90])
def test_seconds_of_a_wrong_clock(check, ahead):
    done = check({vos.SHOW_STATUS: status(ahead=timedelta(seconds=ahead))})
    assert abs(done.result.clock_ahead - ahead) <= 2
    assert len(done.notes) == (abs(ahead) > 120)


@pytest.mark.parametrize(
    ("table", "product"),
    [
        (["ID  Hostname  IPv4  Type", "1  cuc1  10.0.0.1  Publisher"], None),
        (["192.0.2.9 pub Publisher authenticated"], None),
        ([*["x" * 1000] * 60, PUB], "cups"),
        ([*["x" * 1000] * 60, *["x"] * 30, PUB], None),  # beyond the lines that are read
    ],
)
def test_the_product_is_read_if_printed(check, table, product):
    done = check({vos.SHOW_CLUSTER: table})
    assert (done.notes, done.result.product) == ((), product)


def test_no_password_is_kept(check):
    done = check(
        {
            vos.SHOW_CLUSTER: [PUB.replace("cups", "PlatformSecret")],
            vos.SHOW_VERSION: ["Active Master Version: PlatformSecret"],
        }
    )
    transcript = (done.task.folder / "transcript.log").read_text()
    assert "PlatformSecret" not in f"{done.notes} {done.result} {transcript}"


# Whether the node reaches the receiver


def test_a_small_file_reaches_the_receiver(check):
    done = check(receiver=True)
    assert (done.notes, done.result.receiver) == ((), "ok")
    assert done.typed("file") == [LISTING, SMALL]
    assert len(done.counted) == 1, "it is a file of the job"


def test_a_truncated_file_proves_it_too(check, folder):
    async def file_get(node, line):
        await announce(node, 1, 30)
        node.target.put(folder, "cli.log.gz", gzip.compress(bytes(range(99)))[:30])
        await node.say(COMPLETED)

    assert check({SMALL: file_get}, receiver=True).result.receiver == "ok"


def test_another_folder_is_searched(check):
    printed = {
        LISTING: ["no such file or directory can be found", "Executed command unsuccessfully"],
        SYSLOG: FILES,
        "file get activelog syslog/cli00074.log": pushes(300),
    }
    assert check(printed, receiver=True).result.receiver == "ok"


async def silent(node, line):
    await announce(node, 1, 300)
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("printed", "code"),
    [
        ({LISTING: ["24 Nov,2026 21:45:43    2,000,000  big.log"]}, Code.NO_FILES_MATCHED),
        ({SMALL: silent}, Code.RECEIVER_UNREACHABLE),
        ({SMALL: matches_nothing}, Code.NO_FILES_MATCHED),
        ({SMALL: pushes(299, announced=300)}, Code.TRANSFER_INCOMPLETE),
        ({SMALL: never}, Code.COMMAND_TIMEOUT),
    ],
)
def test_a_file_that_does_not_come(check, printed, code):
    done = check(printed, receiver=True)
    assert (done.code, bool(done.failure.hint)) == (code, True)
    assert (done.result.receiver, done.result.version) == ("failed", "15.0.1.11900-40")


def test_command_timeout_names_the_receiver(check):
    """The node may hang, or it may not reach the receiver, whose address is told."""
    done = check({SMALL: silent}, receiver=True, timeouts=Timeouts(command=100))
    assert done.code == Code.COMMAND_TIMEOUT
    assert "192.0.2.1:2222" in done.failure.message


def test_a_large_file_is_declined(check):
    async def large(node, line):
        await announce(node, 1, MOST_BYTES + 1, ("Would you like to proceed [y/n]?",))
        assert node.lines[-1] == "n"

    assert check({SMALL: large}, receiver=True).code == Code.QUOTA_EXCEEDED


@pytest.mark.parametrize("left", [0, 100])
def test_a_used_up_quota_fails_it(check, left):
    quota = Quota(Allowance(1000, 1000 - left), Allowance(0))
    done = check(receiver=True, quota=quota)
    assert done.code == Code.QUOTA_EXCEEDED
    assert "a check" not in done.failure.message


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ((("b", 5), ("a", 5), ("c", 9)), "a"),
        ((("b", 5), ("a", 4)), "b"),  # the newest may be written now
        ((("a", 4),), "a"),
        ((("a", 0), ("b", MOST_BYTES + 1)), None),
        ((("a b", 5), ("a;b", 5), ("a*", 5), ("-a", 5), ("..", 5), ("ä", 5)), None),
        ((("a", MOST_BYTES), ("b", 0)), "a"),
        ((), None),
    ],
)
def test_which_file_is_got(files, name):
    at = datetime(2026, 11, 25)
    listed = [
        vos.ListedFile(name, size, at + timedelta(hours=number))
        for number, (name, size) in enumerate(files)
    ]
    assert smallest_file(listed) == name
