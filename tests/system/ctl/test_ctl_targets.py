"""`start` on clusters: what is looked up, asked first, and said, before and after."""

import re
import signal
import threading

import pytest

pytestmark = pytest.mark.long


BERLIN = {"nodes_total": 1, "nodes_configured": 1, "name": "berlin", "publisher": "pub"}
SEEN = {**BERLIN, "nodes_total": 3, "asked": "pub", "discovered_at": "2026-03-01T08:00:00Z"}
BERN = {"nodes_total": 2, "nodes_configured": 2, "name": "bern", "publisher": "b"}
START = ("--path", "x", "--credential", "lab")


def named(*nodes):
    return [
        {
            "node": node,
            "configured": node == "pub",
            "member": {
                "node": node,
                "address": node,
                "name": node,
                "role": "Subscriber",
                "product": "callmanager",
            },
        }
        for node in nodes
    ]


class Cluster:
    """The daemon's answers. `ending`: how the discovery ends."""

    def __init__(self, canned, node, job, *, ending="succeeded", code=None, before=None):
        self.canned = canned
        self._before, self._asked = before, False
        failure = {"code": code, "message": "no", "retryable": True, "hint": "do this"}
        failure = failure if code else None
        begun = job("running", node("pub", "running"), kind="discover")
        ended = job(ending, node("pub", ending, failure=failure, error=code), kind="discover")
        canned.on("Clusters", self._clusters)
        canned.on("Credentials", canned.reply({"credentials": [{"name": "lab", "tied": False}]}))
        canned.on("Start:discovery", canned.reply({"job": begun, "request_id": "r"}))
        canned.on("Start", canned.reply({"job": job("running", job_id="57f3a977a96c")}))
        canned.on("Watch", self._watched(canned, ended))

    def _watched(self, canned, ended):
        def reply(asked):
            self._asked = True
            return {"sequence": 0, "missed": 0, "job": ended}

        return reply

    def _clusters(self, asked):
        if "name" not in asked:
            return {"clusters": [BERLIN, BERN]}
        if self._asked and self._before != "silent":
            return {"clusters": [{**SEEN, "nodes": named("pub", "10.0.0.2", "10.0.0.4")}]}
        if self._before is None:
            return {"clusters": [{**BERLIN, "nodes": [{"node": "pub", "configured": True}]}]}
        return {"clusters": [{**SEEN, "nodes": named("pub", "10.0.0.2", "10.0.0.3")}]}

    @property
    def methods(self):
        return [method for method, _ in self.canned.calls]

    @property
    def start(self):
        return next(asked for method, asked in self.canned.calls if method == "Start")


@pytest.mark.parametrize(
    ("targets", "asked"),
    [
        (["berlin"], "berlin"),
        (["berlin:cups"], "berlin"),
        (["bern", "berlin"], "berlin"),
        (["berlin:publisher", "berlin:subscribers"], "berlin"),
        (["--cluster-of", "somewhere"], "somewhere"),
        (["--cluster-of", "bern"], "bern"),
    ],
)
def test_a_cluster_with_only_a_publisher_is_asked_first(canned, ctl, node, job, targets, asked):
    cluster = Cluster(canned, node, job)
    done = ctl("start", *targets, *START)
    assert (done.returncode, done.stdout) == (0, "57f3a977a96c\n"), done.stderr
    assert cluster.methods.index("Start:discovery") < cluster.methods.index("Start")
    (request,) = [asked for method, asked in canned.calls if method == "Start:discovery"]
    assert (request["nodes"], request["login"]) == ([asked], {"credential": "lab"})
    names = [word for word in targets if word != "--cluster-of"]
    assert (cluster.start["nodes"], cluster.start["discovered"]) == (names, [asked])
    assert "accept_nodes" not in cluster.start


def test_a_discovery_by_itself_says_which_nodes_are_new_and_gone(canned, ctl, node, job):
    Cluster(canned, node, job, before="seen")
    done = ctl("discover", "berlin", "--credential", "lab")
    assert done.returncode == 0, done.stderr
    assert "new since 2026-03-01 08:00 UTC: 10.0.0.4" in done.stderr
    assert "gone since 2026-03-01 08:00 UTC: 10.0.0.3" in done.stderr
    failed = Cluster(canned, node, job, ending="failed", code="auth_failed", before="seen")
    assert "since" not in ctl("discover", "berlin", "--credential", "lab").stderr
    assert "Start:discovery" in failed.methods


def test_no_cluster_is_asked_for_a_command_that_is_none(canned, ctl, node, job):
    cluster = Cluster(canned, node, job)
    words = ("show", "status", "--then", "show", "tech", "network")
    done = ctl("run", "berlin", "--credential", "lab", "--", *words)
    assert done.returncode == 65
    assert "COMMAND: 'show tech network'" in done.stderr
    assert not {"Start:discovery", "Start:commands"} & set(cluster.methods)


@pytest.fixture
def other_work(canned, node, job):
    """A verb -> its method, which the daemon answers now, and the words behind the nodes."""

    def begin(verb):
        method = {"run": "Start:commands"}.get(verb, f"Start:{verb}")
        fields = {"commands": ["show status"]} if verb == "run" else {}
        begun = job("running", node("pub", "running"), kind=verb, **fields)
        canned.on(method, canned.reply({"job": begun}))
        canned.on("Output", canned.reply({"output": None}))
        login = ("--credential", "lab")
        return method, (*login, "--", "show", "status") if verb == "run" else login

    return begin


@pytest.mark.parametrize("targets", [["berlin"], ["--cluster-of", "somewhere"]])
@pytest.mark.parametrize("verb", ["run", "capture", "check"])
def test_a_cluster_is_asked_first_before_any_other_work(
    canned, ctl, node, job, other_work, targets, verb
):
    cluster = Cluster(canned, node, job)
    method, words = other_work(verb)
    done = ctl(verb, *targets, *words)
    assert done.returncode == 0, done.stderr
    assert cluster.methods.index("Start:discovery") < cluster.methods.index(method)
    (asked,) = [asked for called, asked in canned.calls if called == method]
    assert asked["nodes"] == asked["discovered"] == targets[-1:]


@pytest.mark.parametrize("target", ["bern", "bern:cups", "berlin:publisher"])
def test_a_cluster_whose_nodes_are_configured_is_not_asked(canned, ctl, node, job, target):
    cluster = Cluster(canned, node, job)
    done = ctl("start", target, *START)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Start:discovery" not in cluster.methods
    assert "discovered" not in cluster.start


def test_nodes_that_the_configuration_has_not_are_not_left_out_without_a_word(
    canned, ctl, node, job
):
    Cluster(canned, node, job)
    named = {**BERN, "nodes_total": 4}
    canned.on("Clusters", lambda asked: {"clusters": [] if "name" in asked else [BERLIN, named]})
    assert "2 nodes" in ctl("start", "bern:subscribers", *START).stderr
    assert ctl("start", "bern:publisher", *START).stderr == ""


def test_who_was_not_authenticated_when_a_configured_cluster_was_asked_is_said_with_the_time(
    canned, ctl, node, job
):
    Cluster(canned, node, job)
    asked = {**BERN, "asked": "b", "discovered_at": "2026-03-01T08:00:00Z"}
    nodes = named("b", "c", "d")
    for one in nodes[1:]:
        one["configured"] = one["node"] == "c"
        one["member"]["unauthenticated"] = "not authenticated - INITIATOR"
    whole = {**asked, "nodes": nodes}
    canned.on("Clusters", lambda given: {"clusters": [whole if "name" in given else asked]})
    said = ctl("start", "bern", *START).stderr
    assert "2026-03-01 08:00 UTC: c;" in said
    nodes[1]["member"]["unauthenticated"] = None
    assert ctl("start", "bern", *START).stderr == ""


def test_that_it_is_not_known_which_nodes_are_subscribers_is_said(canned, ctl, node, job):
    Cluster(canned, node, job)
    assert "not known" in ctl("start", "bern:subscribers", *START).stderr
    asked = {**BERN, "asked": "b", "discovered_at": "2026-03-01T08:00:00Z"}
    canned.on("Clusters", lambda given: {"clusters": [] if "name" in given else [asked]})
    assert ctl("start", "bern:subscribers", *START).stderr == ""


def test_accepting_nodes_is_a_field_of_the_request(canned, ctl, node, job):
    cluster = Cluster(canned, node, job)
    assert ctl("start", "berlin", *START, "--accept-nodes").returncode == 0
    assert cluster.start["accept_nodes"] is True


def test_new_nodes_and_those_that_are_gone_are_said(canned, ctl, node, job):
    Cluster(canned, node, job, before="seen")
    said = ctl("start", "berlin", *START).stderr
    assert re.search(r"\bnew .*: 10\.0\.0\.4", said)
    assert re.search(r"\bgone .*: 10\.0\.0\.3", said)


def test_a_publisher_that_does_not_answer_leaves_the_nodes_that_were_seen(canned, ctl, node, job):
    cluster = Cluster(canned, node, job, ending="failed", code="connect_timeout", before="silent")
    done = ctl("start", "berlin", *START)
    assert (done.returncode, done.stdout) == (0, "57f3a977a96c\n")
    assert "connect_timeout" in done.stderr
    assert "2026-03-01 08:00 UTC" in done.stderr
    assert cluster.start["discovered"] == ["berlin"]


@pytest.mark.parametrize(
    ("ending", "code", "before", "exit_code"),
    [
        ("failed", "connect_timeout", None, 1),  # and nobody has asked it before
        ("failed", "auth_failed", "silent", 1),
        ("failed", "host_key_changed", "silent", 1),
        ("failed", "command_refused", "silent", 1),
        ("cancelled", None, "silent", 4),
    ],
)
def test_after_any_other_end_nothing_is_started(
    canned, ctl, node, job, ending, code, before, exit_code
):
    cluster = Cluster(canned, node, job, ending=ending, code=code, before=before)
    done = ctl("start", "berlin", *START)
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert ("hint: do this" in done.stderr) == (code is not None)
    assert "Start" not in cluster.methods


def test_after_ctrl_c_it_is_said_which_job_goes_on_and_that_nothing_else_was_started(
    canned, node, job, in_shell
):
    cluster = Cluster(canned, node, job)
    held = threading.Event()
    canned.watch(job("running", node("pub", "running"), kind="discover"), then=held)
    shell = in_shell("exec $CUCMCTL start berlin --path x --credential lab")
    canned.until_called("Watch")
    shell.send_signal(signal.SIGINT)
    out, error = shell.communicate(timeout=30)
    held.set()
    assert (shell.returncode, out) == (130, "")
    assert "3f2a00112233 goes on" in error
    assert "nothing else was started" in error
    assert "did it begin" not in error
    assert "Start" not in cluster.methods


def test_of_one_node_of_several_the_others_are_counted(canned, ctl, node, job):
    Cluster(canned, node, job, before="seen")
    done = ctl("start", "10.0.0.2", *START)
    assert done.returncode == 0
    assert "2 other nodes" in done.stderr
    assert "start berlin" in done.stderr


@pytest.mark.parametrize("verb", ["start", "run", "capture", "check"])
def test_each_verb_says_how_all_of_a_cluster_without_a_name_is_meant(
    canned, ctl, node, job, other_work, verb
):
    Cluster(canned, node, job)
    nameless = {**SEEN, "name": None, "nodes": named("pub", "10.0.0.2", "10.0.0.4")}
    canned.on("Clusters", lambda asked: {"clusters": [nameless] if "name" in asked else []})
    words = START if verb == "start" else other_work(verb)[1]
    assert f"cucmctl {verb} --cluster-of pub" in ctl(verb, "10.0.0.2", *words).stderr


def test_a_known_node_with_a_name_like_its_cluster_is_not_called_misspelt(canned, ctl, node, job):
    Cluster(canned, node, job, before="seen")
    assert "did you mean" not in ctl("start", "berlin1", *START).stderr


def test_a_misspelt_command_is_refused_before_the_password_is_asked_for(canned, terminal):
    asked = terminal("run", "a", "--user", "administrator", "--", "show", "statsu")
    assert asked.ended() == 65
    text = " ".join(asked.screen.split())
    assert "show status" in text
    assert "Password" not in text


def knows(canned, cluster):
    """Gives the daemon this cluster, and none else that it is asked for."""
    known = [{**BERN, "name": cluster}]
    canned.on("Clusters", lambda asked: {"clusters": [] if "name" in asked else known})


@pytest.mark.parametrize(
    "words",
    [
        ("start", "siet.invalid", "--path", "x"),
        ("start", "siet.invalid:cups", "--path", "x"),
        ("start", "--cluster-of", "siet.invalid", "--path", "x"),
        ("run", "a", "siet.invalid", "--", "show status"),
        ("discover", "siet.invalid"),
    ],
)
def test_a_misspelt_cluster_is_refused_before_the_password_is_asked_for(canned, terminal, words):
    """No host has a name that ends so (RFC 2606)."""
    knows(canned, "site.invalid")
    asked = terminal(words[0], "--user", "administrator", *words[1:])
    assert asked.ended() == 5
    text = " ".join(asked.screen.split())
    assert "did you mean site.invalid?" in text
    assert "Password" not in text
    assert {method for method, _ in canned.calls} <= {"Clusters"}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("start", "bern:subscriber", "--path", "x"), "subscribers"),
        (("check", "bern:cupps"), "cups"),
        (("run", "a", "bern:x", "--", "show status"), "cups, publisher, subscribers"),
        (("discover", "bern:publisher"), "give bern"),
        (("check", "--cluster-of", "bern:publisher"), "give bern"),
    ],
)
def test_a_misspelt_part_is_refused_before_the_password_is_asked_for(
    canned, terminal, words, meant
):
    knows(canned, "bern")
    asked = terminal(words[0], "--user", "administrator", *words[1:])
    assert asked.ended() == 5
    text = " ".join(asked.screen.split())
    assert meant in text
    assert "Password" not in text
    assert {method for method, _ in canned.calls} <= {"Clusters"}


def test_a_host_with_a_name_like_that_of_a_cluster_is_one(canned, terminal):
    knows(canned, "localhosts")
    asked = terminal("start", "localhost", "--path", "x", "--user", "administrator")
    asked.until("Password")
    assert "did you mean localhosts?" in " ".join(asked.screen.split())
    asked.type(b"\x03")
    asked.ended()
    assert "Start" not in [method for method, _ in canned.calls]


@pytest.mark.parametrize(
    ("arguments", "method", "reply", "meant"),
    [
        (
            ("--profile", "calmanager", "--credential", "lab"),
            "Profiles",
            {
                "profiles": [
                    {
                        "name": "callmanager",
                        "description": "",
                        "paths": [],
                        "location": "activelog",
                        "recurs": False,
                        "compress": False,
                    }
                ]
            },
            "callmanager",
        ),
        (
            ("--path", "x", "--credential", "lb"),
            "Credentials",
            {"credentials": [{"name": "lab", "tied": False}]},
            "lab",
        ),
    ],
)
def test_a_misspelt_profile_or_credential_starts_nothing(
    canned, ctl, arguments, method, reply, meant
):
    canned.on("Credentials", canned.reply({"credentials": [{"name": "lab", "tied": False}]}))
    canned.on(method, canned.reply(reply))
    done = ctl("start", "a", *arguments)
    assert (done.returncode, done.stdout) == (5, "")
    assert f"did you mean {meant}?" in done.stderr
    assert "Start" not in [called for called, _ in canned.calls]


def test_targets_in_two_ways_are_refused(ctl, canned):
    done = ctl("start", "a", "--cluster-of", "b", *START)
    assert (done.returncode, canned.calls) == (2, [])
    assert ctl("start", *START).returncode == 2
    for targets in (["a", "--cluster-of", "b"], []):
        done = ctl("run", *targets, "--credential", "lab", "--", "show", "status")
        assert (done.returncode, canned.calls) == (2, [])
        for verb in ("capture", "check"):
            done = ctl(verb, *targets, "--credential", "lab")
            assert (done.returncode, canned.calls) == (2, [])
