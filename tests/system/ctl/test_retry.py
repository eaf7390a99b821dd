"""`retry`: its login and its request."""

import pytest

ASKED = "Password of administrator on the nodes: "


@pytest.fixture
def partial(job, node):
    """Makes a job that had a typed password, and of which one node has succeeded."""

    def _partial(status="partial"):
        nodes = (node(), node("ccm-sub1:2022", "failed"), node("ccm-sub2", "cancelled"))
        return job(status, *nodes, username="administrator")

    return _partial


@pytest.fixture
def known(canned, partial, job):
    """The daemon knows the job, and queues it again, with `asks` only once it has a login."""

    def _known(*, asks=False):
        canned.on("Status", canned.reply({"job": partial()}))
        missing = canned.error("InvalidRequest", parameter="login", reason="is missing")
        queued = canned.reply({"job": partial("queued")})
        canned.on_each("Retry", *([(missing,)] if asks else []), (queued,))

    return _known


def sent(canned):
    method, request = canned.calls[-1]
    assert method == "Retry"
    return {name: value for name, value in request.items() if name != "start_key"}


def test_credential_needs_no_question(canned, ctl, known):
    known()
    done = ctl("retry", "3f2a")
    assert (done.returncode, done.stdout, done.stderr) == (0, "3f2a00112233\n", "")
    assert sent(canned) == {"job_id": "3f2a", "login": {}}


def test_password_is_asked_for_again(canned, terminal, known):
    known(asks=True)
    screen = terminal("retry", "3f2a", "ccm-sub1", "--try-all")
    screen.until(ASKED)
    screen.type("secret-of-the-node\n")
    assert screen.ended() == 0
    assert sent(canned) == {
        "job_id": "3f2a",
        "nodes": ["ccm-sub1"],
        "login": {"username": "administrator", "password": "secret-of-the-node"},
        "try_all": True,
    }
    assert "secret" not in screen.raw


@pytest.mark.parametrize(
    ("arguments", "login"),
    [
        ("--credential lab", {"credential": "lab"}),
        ("--credential lab --user other", {"credential": "lab", "username": "other"}),
        ("--user other --password-file -", {"username": "other", "password": "typed"}),
        ("--password-file -", {"username": "administrator", "password": "typed"}),
    ],
)
def test_given_login_is_sent(canned, ctl, known, arguments, login):
    known()
    done = ctl("retry", "3f2a", *arguments.split(), typed="typed\n")
    assert (done.returncode, sent(canned)["login"]) == (0, login)


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (("JobBusy", {"job_id": "3f2a", "reason": "it is running"}), 75),
        (("NodeNotFound", {"job_id": "3f2a", "node": "nobody"}), 5),
        (("InvalidRequest", {"parameter": "nodes", "reason": "r"}), 65),
        (("org.varlink.service.PermissionDenied", {}), 77),
    ],
)
def test_no_password_for_refused_retries(canned, ctl, refusal, code):
    name, fields = refusal
    canned.on("Retry", canned.error(name, **fields))
    assert ctl("retry", "3f2a").returncode == code
    assert [method for method, _ in canned.calls] == ["Retry"]
