"""`retry`: its login and its request."""

import pytest

ASKED = "Password of administrator on the nodes: "


@pytest.fixture
def partial(job, node):
    """Makes a job that had a typed password, and of which one node has succeeded."""

    def _partial(status="partial", **fields):
        nodes = (node(), node("ccm-sub1", "failed"), node("ccm-sub2", "cancelled"))
        values = {"username": "administrator", "resumable": False, **fields}
        return job(status, *nodes, **values)

    return _partial


@pytest.fixture
def known(canned, partial, job):
    """The daemon knows the job, and queues it again."""

    def _known(**fields):
        canned.on("Status", canned.reply({"job": partial(**fields)}))
        canned.on("Retry", canned.reply({"job": partial("queued")}))

    return _known


def sent(canned):
    method, request = canned.calls[-1]
    assert method == "Retry"
    return {name: value for name, value in request.items() if name != "start_key"}


def test_credential_needs_no_question(canned, ctl, known):
    known(resumable=True)
    done = ctl("retry", "3f2a")
    assert (done.returncode, done.stdout, done.stderr) == (0, "3f2a00112233\n", "")
    assert sent(canned) == {"job_id": "3f2a00112233"}


def test_password_is_asked_for_again(canned, terminal, known):
    known()
    screen = terminal("retry", "3f2a", "ccm-sub1", "--try-all")
    screen.until(ASKED)
    screen.type("secret-of-the-node\n")
    assert screen.ended() == 0
    assert sent(canned) == {
        "job_id": "3f2a00112233",
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
    ("status", "nodes", "refusal", "code"),
    [
        ("running", (), ("JobBusy", {"job_id": "3f2a", "reason": "it is running"}), 75),
        ("partial", ("nobody",), ("NodeNotFound", {"job_id": "3f2a", "node": "nobody"}), 5),
        ("partial", ("ccm-pub",), ("InvalidRequest", {"parameter": "nodes", "reason": "r"}), 65),
    ],
)
def test_no_password_for_refused_retries(canned, ctl, partial, status, nodes, refusal, code):
    canned.on("Status", canned.reply({"job": partial(status)}))
    name, fields = refusal
    canned.on("Retry", canned.error(name, **fields))
    assert ctl("retry", "3f2a", *nodes).returncode == code
