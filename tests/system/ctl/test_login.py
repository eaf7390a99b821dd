"""`login` and `logout`, and verbs for which the daemon keeps a login."""

import json

import pytest

UNTIL = "2026-12-01T12:00:00Z"
LOGIN = {"target": "10.0.0.1", "username": "bob", "until": UNTIL}
ASKED = "Password of bob on the nodes: "
START = ("start", "10.0.0.1", "--path", "x", "--user", "bob")


@pytest.fixture
def keeps(canned, job):
    """The daemon keeps a login of bob. Each of `refusals` refuses one call for this parameter."""

    def _keeps(*refusals):
        canned.on("Credentials", canned.reply({"credentials": [], "logins": [LOGIN]}))
        canned.on("Status", canned.reply({"job": job("failed", username="bob")}))
        for method in ("Start", "Retry", "Start:discovery"):
            errors = [
                (canned.error("InvalidRequest", parameter=wrong, reason="is not kept for x"),)
                for wrong in refusals
            ]
            canned.on_each(method, *errors, (canned.reply({"job": job("running")}),))

    return _keeps


def logins(canned, *methods):
    return [asked["login"] for method, asked in canned.calls if method in methods]


def test_login_sends_the_password_once(canned, terminal):
    canned.on("Credentials", canned.reply({"credentials": []}))
    canned.on("KeepLogin", canned.reply({"logins": [LOGIN]}))
    screen = terminal("login", "bob@10.0.0.1", "--for", "2h", "--accept-nodes")
    screen.until(ASKED)
    screen.type("secret-of-bob\n")
    assert screen.ended() == 0
    assert canned.calls[-1][1] == {
        "nodes": ["10.0.0.1"],
        "login": {"username": "bob", "password": "secret-of-bob"},
        "duration": 7200.0,
        "accept_nodes": True,
    }
    assert "10.0.0.1 is kept until" in screen.screen
    assert "secret" not in screen.raw


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("login", "10.0.0.1"), 2),
        (("login", "--user", "bob"), 2),
        (("login", "bob@10.0.0.1", "--for", "soon"), 2),
        (("login", "bob@10.0.0.1", "--credential", "lab"), 2),
        (("login", "bob@no-such-host.invalid"), 5),
    ],
)
def test_wrong_login_asks_nothing(canned, terminal, words, code):
    canned.on("Credentials", canned.reply({"credentials": []}))
    canned.on("Clusters", canned.reply({"clusters": []}))
    screen = terminal(*words)
    assert screen.ended() == code
    assert "Password" not in screen.screen


def test_viewer_is_not_asked(canned, terminal):
    canned.on("Credentials", canned.error("org.varlink.service.PermissionDenied"))
    screen = terminal("login", "bob@10.0.0.1")
    assert screen.ended() == 77
    assert "Password" not in screen.screen


@pytest.mark.parametrize(
    "words",
    [START, ("discover", "10.0.0.1", "--user", "bob"), ("retry", "3f2a", "--user", "bob")],
)
def test_kept_login_needs_no_password(canned, ctl, keeps, job, words):
    keeps()
    canned.watch(job("succeeded"))
    assert ctl(*words).returncode == 0
    assert logins(canned, "Start", "Retry", "Start:discovery") == [
        {"username": "bob", "kept": True}
    ]


@pytest.mark.parametrize("wrong", ["login", "login.kept"])
def test_password_is_asked_if_refused(canned, terminal, keeps, wrong):
    keeps(wrong)
    screen = terminal(*START)
    screen.until(ASKED)
    screen.type("secret-of-bob\n")
    assert screen.ended() == 0
    typed = {"username": "bob", "password": "secret-of-bob"}
    assert logins(canned, "Start") == [{"username": "bob", "kept": True}, typed]
    assert ("is not kept for x" in screen.screen) == (wrong == "login.kept")


def test_password_is_asked_without_a_user(canned, terminal, keeps):
    """The user is known from the login that is kept for some of the nodes."""
    keeps("login.kept")
    screen = terminal("start", "10.0.0.1", "10.0.0.2", "--path", "x")
    screen.until(ASKED)
    screen.type("secret-of-bob\n")
    assert screen.ended() == 0
    assert logins(canned, "Start") == [{}, {"username": "bob", "password": "secret-of-bob"}]


def test_hub_keeps_no_login(canned, terminal):
    canned.on("Credentials", canned.error("NotAtHub", method="Credentials", sites=["berlin"]))
    screen = terminal("login", "bob@berlin/cucm-pub")
    assert screen.ended() == 2
    assert "Password" not in screen.screen
    assert "--credential" in screen.screen


def test_login_without_terminal(canned, process):
    canned.on("Credentials", canned.reply({"credentials": []}))
    with process("login", "10.0.0.1", "--user", "bob") as done:
        assert done.wait(30) == 2
        said = done.stderr.read()
    assert "--password-file" in said
    assert "--credential" not in said
    assert logins(canned, "KeepLogin") == []


def test_partly_kept_login_without_terminal(canned, process, keeps):
    keeps("login.kept")
    with process("start", "10.0.0.1", "10.0.0.2", "--path", "x") as done:
        assert done.wait(30) == 2
        assert "is not kept for x" in done.stderr.read()
    assert logins(canned, "Start") == [{}]


def test_retry_asks_if_refused(canned, terminal, keeps):
    keeps("login", "login.kept")
    screen = terminal("retry", "3f2a")
    screen.until(ASKED)
    screen.type("secret-of-bob\n")
    assert screen.ended() == 0
    assert [login.get("kept") for login in logins(canned, "Retry")] == [None, True, None]


def test_cluster_is_asked_once(canned, terminal, keeps, job):
    """The start, which is refused after the discovery, is repeated without the discovery."""
    keeps("login.kept")
    canned.on("Start:discovery", canned.reply({"job": job("running")}))
    canned.watch(job("succeeded"))
    canned.on("Clusters", canned.reply({"clusters": []}))
    screen = terminal("start", "--cluster-of", "10.0.0.1", "--path", "x", "--user", "bob")
    screen.until(ASKED)
    screen.type("secret-of-bob\n")
    assert screen.ended() == 0
    started = [method for method, _ in canned.calls if method.startswith("Start")]
    assert started == ["Start:discovery", "Start", "Start"]


@pytest.mark.parametrize("words", [("--user", "eve"), ("--user", "bob", "--password-file", "-")])
def test_other_logins_are_not_replaced(canned, process, keeps, words):
    keeps()
    with process("start", "10.0.0.1", "--path", "x", *words) as done:
        assert done.wait(30) == 2  # there is neither a terminal nor a password
    assert logins(canned, "Start") == []


@pytest.mark.parametrize(
    ("words", "forgotten", "code", "nodes"),
    [
        ((), 2, 0, {}),
        ((), 0, 0, {}),
        (("berlin",), 1, 0, {"nodes": ["berlin"]}),
        (("berlin",), 0, 5, {"nodes": ["berlin"]}),
    ],
)
def test_logout(canned, ctl, words, forgotten, code, nodes):
    canned.on("ForgetLogin", canned.reply({"forgotten": forgotten}))
    assert ctl("logout", *words).returncode == code
    assert canned.calls[-1] == ("ForgetLogin", nodes)


def test_credentials_show_kept_logins(canned, ctl):
    credentials = [{"name": "free", "tied": False}]
    reply = {"credentials": credentials, "logins": [{**LOGIN, "accept_nodes": True}]}
    canned.on("Credentials", canned.reply(reply))
    *_, row = ctl("credentials").stdout.splitlines()
    for shown in ("bob", "10.0.0.1 and nodes that it has named", "2026-12-01"):
        assert shown in row
    (login,) = json.loads(ctl("--json", "credentials").stdout)["logins"]
    assert login["until"] == UNTIL
