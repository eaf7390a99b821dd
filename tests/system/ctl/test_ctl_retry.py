"""`retry`: whose password is asked for, what is sent, and what is printed."""

import json

import pytest

pytestmark = pytest.mark.long


ASKED = "Password of administrator on the nodes: "


@pytest.fixture
def partial(job, node):
    """A job that a typed password was for, of which one node has succeeded."""

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


def test_a_job_with_a_credential_is_tried_again_without_a_question(canned, ctl, known):
    known(resumable=True)
    done = ctl("retry", "3f2a")
    assert (done.returncode, done.stdout, done.stderr) == (0, "3f2a00112233\n", "")
    assert sent(canned) == {"job_id": "3f2a00112233"}


def test_the_password_of_the_jobs_user_is_asked_for(canned, terminal, known):
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


def test_without_a_terminal_the_password_must_be_given(canned, ctl, known, tmp_path):
    known()
    assert ctl("retry", "3f2a").returncode == 2
    assert [method for method, _ in canned.calls] == ["Status"]
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text("of-the-file\n")
    assert ctl("retry", "3f2a", "--password-file", str(path)).returncode == 0
    assert sent(canned)["login"] == {"username": "administrator", "password": "of-the-file"}


@pytest.mark.parametrize(
    ("arguments", "login"),
    [
        ("--credential lab", {"credential": "lab"}),
        ("--credential lab --user other", {"credential": "lab", "username": "other"}),
        ("--user other --password-file -", {"username": "other", "password": "typed"}),
        ("--password-file -", {"username": "administrator", "password": "typed"}),
    ],
)
@pytest.mark.parametrize("resumable", [False, True])
def test_a_login_that_is_given_is_sent(canned, ctl, known, arguments, login, resumable):
    known(resumable=resumable)
    done = ctl("retry", "3f2a", *arguments.split(), stdin=None, input="typed\n")
    assert (done.returncode, sent(canned)["login"]) == (0, login)


def test_a_job_without_a_user_needs_one(canned, ctl, known):
    known(username=None)
    done = ctl("retry", "3f2a")
    assert done.returncode == 2
    assert "--user" in done.stderr


@pytest.mark.parametrize(
    ("status", "nodes", "refusal", "code"),
    [
        ("running", (), ("JobBusy", {"job_id": "3f2a", "reason": "it is running"}), 75),
        ("partial", ("nobody",), ("NodeNotFound", {"job_id": "3f2a", "node": "nobody"}), 5),
        ("partial", ("ccm-pub",), ("InvalidRequest", {"parameter": "nodes", "reason": "r"}), 65),
    ],
)
def test_nobody_is_asked_for_a_password_that_no_node_would_get(
    canned, terminal, partial, status, nodes, refusal, code
):
    canned.on("Status", canned.reply({"job": partial(status)}))
    name, fields = refusal
    canned.on("Retry", canned.error(name, **fields))
    screen = terminal("retry", "3f2a", *nodes)
    assert screen.ended() == code
    assert "Password" not in screen.screen


def test_of_a_job_whose_files_are_gone_nobody_is_asked_for_a_password(canned, terminal, partial):
    canned.on("Status", canned.reply({"job": partial(files_deleted=True)}))
    canned.on("Retry", canned.error("InvalidRequest", parameter="job_id", reason="r"))
    screen = terminal("retry", "3f2a")
    assert screen.ended() == 65
    assert "Password" not in screen.screen


def test_json_gives_the_job(canned, ctl, known):
    known(resumable=True)
    assert json.loads(ctl("retry", "3f2a", "--json").stdout)["status"] == "queued"


def test_start_can_try_all(canned, ctl, job):
    canned.on("Start", canned.reply({"job": job("running")}))
    assert ctl("start", "a", "--path", "x", "--credential", "c", "--try-all").returncode == 0
    assert canned.calls[-1][1]["try_all"] is True


def test_a_daemon_that_holds_nothing_back_refuses_the_option_by_its_name(canned, ctl):
    wrong = {"parameter": "try_all", "reason": "is unknown"}
    canned.on("Start", canned.error("InvalidRequest", **wrong))
    done = ctl("start", "a", "--path", "x", "--credential", "c", "--try-all")
    assert (done.returncode, done.stderr) == (65, "cucmctl: --try-all: is unknown\n")
