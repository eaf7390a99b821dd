"""Verbs on clusters: names that are looked up, clusters that are asked first, and messages."""

import pytest

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
    """A daemon that knows clusters. `ending` is the status with which the discovery ends."""

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
        (["berlin:publisher", "berlin:subscribers"], "berlin"),
        (["--cluster-of", "somewhere"], "somewhere"),
    ],
)
def test_cluster_is_asked_first(canned, ctl, node, job, targets, asked):
    cluster = Cluster(canned, node, job)
    done = ctl("start", *targets, *START)
    assert (done.returncode, done.stdout) == (0, "57f3a977a96c\n"), done.stderr
    assert cluster.methods.index("Start:discovery") < cluster.methods.index("Start")
    (request,) = [asked for method, asked in canned.calls if method == "Start:discovery"]
    assert (request["nodes"], request["login"]) == ([asked], {"credential": "lab"})
    names = [word for word in targets if word != "--cluster-of"]
    assert (cluster.start["nodes"], cluster.start["discovered"]) == (names, [asked])
    assert "accept_nodes" not in cluster.start


def test_nodes_left_out_are_counted(canned, ctl, node, job):
    Cluster(canned, node, job)
    named = {**BERN, "nodes_total": 4}
    canned.on("Clusters", lambda asked: {"clusters": [] if "name" in asked else [BERLIN, named]})
    assert "2 nodes" in ctl("start", "bern:subscribers", *START).stderr
    assert ctl("start", "bern:publisher", *START).stderr == ""


def test_unauthenticated_nodes_are_named(canned, ctl, node, job):
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


def test_silent_publisher_leaves_last_nodes(canned, ctl, node, job):
    cluster = Cluster(canned, node, job, ending="failed", code="connect_timeout", before="silent")
    done = ctl("start", "berlin", *START)
    assert (done.returncode, done.stdout) == (0, "57f3a977a96c\n")
    assert "connect_timeout" in done.stderr
    assert "2026-03-01 08:00 UTC" in done.stderr
    assert cluster.start["discovered"] == ["berlin"]


@pytest.mark.parametrize(
    ("ending", "code", "before", "exit_code"),
    [
        ("failed", "connect_timeout", None, 1),  # without an earlier discovery
        ("failed", "auth_failed", "silent", 1),
        ("failed", "host_key_changed", "silent", 1),
        ("failed", "command_refused", "silent", 1),
        ("cancelled", None, "silent", 4),
    ],
)
def test_failed_discovery_starts_nothing(canned, ctl, node, job, ending, code, before, exit_code):
    cluster = Cluster(canned, node, job, ending=ending, code=code, before=before)
    done = ctl("start", "berlin", *START)
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert ("hint: do this" in done.stderr) == (code is not None)
    assert "Start" not in cluster.methods


def knows(canned, cluster):
    """Lets the daemon know only this cluster."""
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
def test_misspelt_cluster_is_refused(canned, ctl, words):
    """No host has a name that ends with `.invalid` (RFC 2606)."""
    knows(canned, "site.invalid")
    done = ctl(words[0], "--user", "administrator", *words[1:])
    assert done.returncode == 5
    assert "did you mean site.invalid?" in done.stderr
    assert {method for method, _ in canned.calls} <= {"Clusters", "Credentials"}


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 5)])
def test_asks_whether_host_is_meant(canned, terminal, job, answer, code):
    knows(canned, "localhots")
    canned.on("Start", canned.reply({"job": job("running")}))
    screen = terminal("start", "localhost", *START)
    screen.until("did you mean localhots? Use the host? [y/N]")
    assert "Start" not in [method for method, _ in canned.calls]
    screen.type(f"{answer}\n")
    assert screen.ended() == code


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
def test_misspelt_part_is_refused(canned, ctl, words, meant):
    knows(canned, "bern")
    done = ctl(words[0], "--user", "administrator", *words[1:])
    assert done.returncode == 5
    assert meant in done.stderr
    assert {method for method, _ in canned.calls} <= {"Clusters", "Credentials"}


@pytest.mark.parametrize(
    ("option", "method", "field"),
    [("--profile", "Profiles", "profiles"), ("--credential", "Credentials", "credentials")],
)
def test_misspelt_profile_or_credential(canned, ctl, option, method, field):
    known = {"name": "callmanager", "tied": False, "description": "", "paths": []}
    known |= {"location": "activelog", "recurs": False, "compress": False}
    canned.on(method, canned.reply({field: [known]}))
    done = ctl("start", "a", "--path", "x", option, "calmanager")
    assert (done.returncode, done.stdout) == (5, "")
    assert "did you mean callmanager?" in done.stderr
    assert "Start" not in [called for called, _ in canned.calls]
