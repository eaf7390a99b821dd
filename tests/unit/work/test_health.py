"""A health check of a node: which commands are run, and what stays when one fails."""

import pytest

from cucmd import vos
from cucmd.failure import Code
from cucmd.job.health import BAD, CHECKS, GOOD, UNREAD, HealthCheck
from rig.scripted_node import answers
from unit.work.capture_node import until_ctrl_c
from unit.work.test_run import hangs

SERVICES, NTP = "utils service list", "utils ntp status"
REPLICATION = "utils dbreplication runtimestate"
HA_STATUS = "utils ha status"
REFUSED = ["Executed command unsuccessfully", "No valid command entered"]
STRATUM = "synchronised to NTP server (192.0.2.1) at stratum {}"


def of_product(product):
    return [f"192.0.2.9 pub.example.org pub Publisher {product} DBPub authenticated"]


@pytest.fixture
def health(play):
    """Returns a function that checks a node which prints this. checks: only these."""

    def health(printed, *checks):
        return play(answers(printed), HealthCheck(checks))

    return health


def states(done):
    return [(one.check, one.state) for one in done.result.findings]


def test_each_command_runs_once(health):
    done = health({vos.SHOW_CLUSTER: of_product("callmanager"), SERVICES: ["A Cisco DB[STARTED]"]})
    assert done.notes == ()
    commands = [line for line in HealthCheck().commands_kept if line != HA_STATUS]
    assert done.node.lines == [vos.PAGER_OFF, *commands, "quit"]
    assert len(done.kept) == len(commands)
    assert [check for check, _ in states(done)] == [one for one in CHECKS if one != "availability"]
    assert {check for check, state in states(done) if state == GOOD} == {"cluster", "services"}
    found = done.result
    assert (found.product, found.address) == ("callmanager", "192.0.2.9")
    assert found.named == ("192.0.2.9",)


@pytest.mark.parametrize(
    ("table", "line", "asked"),
    [
        (of_product("uccx"), REPLICATION, False),
        ([], REPLICATION, True),  # the product is not known
        (of_product("cups"), HA_STATUS, True),
        (of_product("callmanager"), HA_STATUS, False),
        ([], HA_STATUS, False),
    ],
)
def test_checks_depend_on_the_product(health, table, line, asked):
    printed = {vos.SHOW_CLUSTER: table, HA_STATUS: ["Node 1 Name : a State: Normal"]}
    done = health(printed, "replication", "availability")
    assert (line in done.node.lines) is asked
    check = "availability" if line == HA_STATUS else "replication"
    assert (check in dict(states(done))) is asked


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ({SERVICES: REFUSED, NTP: [STRATUM.format(2)]}, [("services", UNREAD), ("ntp", GOOD)]),
        (  # only the beginning of a long answer is read
            {
                SERVICES: ["A Cisco DB[STARTED]"] * 2000 + ["Cisco Tomcat[STOPPED]"],
                CHECKS["backup"][-1]: [
                    "2009-12-10.tar TAPE Thu Dec 10 10:35:22 CST 2009 SUCCESS MANUAL CDR_CAR,CCM"
                ]
                * 2000,
            },
            [("services", UNREAD), ("backup", UNREAD)],
        ),
        (  # a node may print something before it refuses
            {
                vos.SHOW_VERSION: ["Active Master Version: 14.0.1.13900-155", *REFUSED],
                CHECKS["certificates"][0]: ["tomcat/tomcat.pem: Self-signed", *REFUSED],
            },
            [("version", UNREAD), ("certificates", UNREAD)],
        ),
    ],
)
def test_what_is_not_read_is_not_good(health, printed, expected):
    done = health(printed, *(check for check, _ in expected))
    assert states(done) == expected
    assert done.result.version is None
    assert done.typed("show cert own") == []


@pytest.mark.parametrize("lines", [[], ["", "  ", "\t"]])
def test_empty_answers_are_unread(health, lines):
    done = health({line: lines for of_check in CHECKS.values() for line in of_check})
    assert dict(states(done)) == dict.fromkeys(set(CHECKS) - {"availability"}, UNREAD)


@pytest.mark.parametrize(("role", "state"), [("Publisher", BAD), ("Subscriber", GOOD)])
def test_a_subscriber_follows_the_publisher(health, role, state):
    table = [of_product("callmanager")[0].replace("Publisher", role)]
    done = health({vos.SHOW_CLUSTER: table, NTP: [STRATUM.format(6)]}, "ntp")
    assert states(done) == [("ntp", state)]


def test_a_long_table_names_the_publisher(health):
    row = "10.0.{}.9 sub{} Subscriber callmanager DBSub authenticated using TCP since Mon"
    table = [row.format(n, n) for n in range(250)] + of_product("callmanager")
    found = health({vos.SHOW_CLUSTER: table}, "cluster").result
    assert (found.named[0], len(found.named)) == ("192.0.2.9", 200)
    assert (found.role, found.address) == ("Publisher", "192.0.2.9")


def test_ctrl_c_ends_a_slow_command(health):
    async def silent(node, line):
        await until_ctrl_c(node)

    printed = {
        REPLICATION: silent,
        "show cert list own": ["a/a.pem: Self-signed", "b/b.pem: Self-signed"],
        "show cert own a/a.pem": silent,
        "utils core active list": ["      No core files found"],
    }
    done = health(printed, "replication", "certificates", "cores")
    assert states(done) == [("replication", UNREAD), ("certificates", UNREAD), ("cores", GOOD)]
    assert "show cert own b/b.pem" not in done.node.lines


def test_a_command_without_end_fails_the_node(health):
    printed = {SERVICES: ["A Cisco DB[STARTED]"], NTP: hangs}
    done = health(printed, "services", "ntp", "replication")
    assert (done.code, states(done)) == (Code.COMMAND_TIMEOUT, [("services", GOOD)])
    assert REPLICATION not in done.node.lines


def test_each_certificate_is_asked_for(health):
    printed = {
        "show cert list own": ["tomcat/tomcat.pem: Self-signed", "x;reboot/x.pem: Self-signed"],
        "show cert own tomcat/tomcat.pem": [
            "  Validity From: Wed Feb 04 15:31:39 PST 2022",
            "           To:   Mon Feb 03 15:31:38 PST 2200",
        ],
    }
    done = health(printed, "certificates")
    assert done.typed("show cert own") == ["show cert own tomcat/tomcat.pem"]
    assert states(done) == [("certificates", GOOD), ("certificates", UNREAD)]


def test_no_password_is_kept(health):
    top = ["  PID %CPU COMMAND", "4000 99.0 /bin/xPlatformSecret/y"]
    printed = {SERVICES: ["PlatformSecret[STOPPED]"], "show process using-most cpu": top}
    done = health(printed, "services", "processor")
    assert "PlatformSecret" not in repr(done.result)
    assert [check for check, _ in states(done)] == ["services", "processor"]
