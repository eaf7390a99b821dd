"""A discovery: the nodes of a cluster as one of them lists these."""

import pytest
import trio

from cucmd import vos
from cucmd.failure import Code, failure
from cucmd.job.discover import Discover, Found, Member
from cucmd.job.node import Phase
from cucmd.job.timeouts import Timeouts
from cucmd.node_name import parse_node
from cucmd.work.discover import MOST_MEMBERS, MOST_NAMED
from rig.scripted_node import answers

PUB = "192.0.2.9 pub.example.org pub Publisher callmanager DBPub authenticated"
SUB = "192.0.2.10 sub1 Subscriber callmanager DBSub authenticated using TCP since Mon Nov  2"
IMP = "192.0.2.11 imp.example.org imp Subscriber cups DBPub authenticated using TCP since Mon"
TABLE = [SUB, PUB, IMP, "", "Server Table (processnode) Entries", "-" * 34, "pub", "sub1"]
VERSION = ["Active Master Version: 15.0.1.11900-40", "No Installed Software Options Found."]
NOT_YET = "not authenticated - INITIATOR since Fri Nov 13 12:33:47 2026"


@pytest.fixture
def discover(play):
    """Returns a function that asks a node, which has this name and prints this."""

    def discover(table=TABLE, version=VERSION, name="cucm-pub", **options):
        host, port = parse_node(name)
        script = answers({vos.SHOW_CLUSTER: table, vos.SHOW_VERSION: version})
        return play(script, Discover(), node=name, host=host, port=port, **options)

    return discover


async def never(node, line):
    await trio.sleep_forever()


def test_nodes_and_version_are_found(discover):
    done = discover()
    assert done.notes == ()
    assert done.result == Found(
        (
            Member("192.0.2.10", "192.0.2.10", "sub1", "Subscriber", "callmanager"),
            Member("cucm-pub", "192.0.2.9", "pub", "Publisher", "callmanager", "pub.example.org"),
            Member("192.0.2.11", "192.0.2.11", "imp", "Subscriber", "cups", "imp.example.org"),
        ),
        "15.0.1.11900-40",
    )
    assert done.node.lines == [vos.PAGER_OFF, vos.SHOW_CLUSTER, vos.SHOW_VERSION, "quit"]
    assert done.node.targets == []
    assert done.report.phases == [Phase.LOGIN, Phase.PREPARE, Phase.COMMAND, Phase.CLOSE]


def test_nodes_have_the_port_of_the_publisher(discover):
    done = discover([*TABLE[:3], IMP.replace("192.0.2.11", "2001:db8::1")], name="pub:2022")
    names = [member.node for member in done.result.members]
    assert names == ["192.0.2.10:2022", "pub:2022", "192.0.2.11:2022", "[2001:db8::1]:2022"]


@pytest.mark.parametrize(
    ("asked", "lines", "position"),
    [
        ("192.0.2.10", [SUB, IMP], 0),  # by the address in the command
        ("IMP.example.org.", [SUB, IMP], 1),
        ("other", [SUB, IMP.partition(" using")[0]], 1),  # the only one without a connection
        ("other", [SUB, IMP], None),
        ("other", [line.partition(" using")[0] for line in (SUB, IMP)], None),
    ],
)
def test_the_asked_node_keeps_its_name(discover, asked, lines, position):
    members = discover(lines, name=asked).result.members
    same = [at for at, member in enumerate(members) if member.node == asked]
    assert same == ([] if position is None else [position])


def test_a_line_in_another_form_is_noted(discover):
    done = discover(["3  cucm-sub2  192.0.2.12  Subscriber", *TABLE])
    assert (len(done.result.members), len(done.notes)) == (3, 1)


def test_unauthenticated_nodes_are_noted(discover):
    bad = [f"192.0.2.{at} sub{at} Subscriber {NOT_YET}" for at in range(20, 20 + MOST_NAMED + 2)]
    done = discover([PUB, SUB, *bad])
    said = [member.unauthenticated for member in done.result.members]
    assert said == [None, None] + [NOT_YET] * len(bad)
    assert len(done.notes) == MOST_NAMED + 1
    assert all(part in done.notes[0] for part in ("192.0.2.20", "sub20", NOT_YET))


@pytest.mark.parametrize(
    "lines",
    [
        ["ID  Hostname  IPv4  Type", "1  cuc1  10.0.0.1  Publisher"],
        ["Executed command unsuccessfully"],
        ["Expected 0 mandatory and up to 1 non-mandatory parameter(s)"],
        ["\x1b[2J\x07" + "#" * 5000],
        [],
    ],
)
def test_a_table_without_nodes_is_quoted(discover, lines):
    done = discover(lines)
    message = done.failure.message
    assert (done.code, done.result.members) == (Code.COMMAND_REFUSED, ())
    assert all(" ".join(line.split()) in message for line in lines if len(line) < 80)
    assert message.isprintable()
    assert len(message) < 500


@pytest.mark.parametrize("version", [["Something else"], never])
def test_nodes_are_found_without_a_version(discover, version):
    done = discover(version=version)
    assert (len(done.result.members), done.result.version, len(done.notes)) == (3, None, 1)


def test_a_silent_node_times_out(discover):
    done = discover(never, timeouts=Timeouts(answer=17))
    assert done.code == Code.COMMAND_TIMEOUT
    assert 17 <= done.seconds < 17 + 10


def test_a_refused_login_fails(discover):
    done = discover(arrange=lambda node: node.refusals.append(failure(Code.AUTH_FAILED, "no")))
    assert done.code == Code.AUTH_FAILED


def test_a_long_table_is_limited(discover):
    nodes = [SUB.replace("192.0.2.10", f"10.1.{at // 250}.{at % 250}") for at in range(250)]
    done = discover([*nodes, *["x" * 1000] * 300], version=())
    assert (len(done.result.members), len(done.notes)) == (MOST_MEMBERS, 3)


def test_no_password_is_kept(discover):
    table = [
        SUB.replace("sub1", "PlatformSecret"),
        PUB.replace("pub.example.org", "x.PlatformSecret.org"),
        IMP.replace("cups", "PlatformSecret"),
        f"192.0.2.30 sub9 Subscriber {NOT_YET} PlatformSecret",
        "your password is PlatformSecret",
    ]
    done = discover(table, ["Active Master Version: PlatformSecret"])
    assert len(done.result.members) == 4
    transcript = (done.task.folder / "transcript.log").read_text()
    assert "PlatformSecret" not in f"{done.result} {done.notes} {transcript}"
