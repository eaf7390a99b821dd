"""A login that the daemon keeps: who gets it, and that nothing of it is written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl import Client, InvalidRequest
from cucmd.job.work_request import Login
from rig import written
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import node
from rig.lab import Lab, running_lab
from rig.others import allow_all_to_connect, ctl_as, needs_root
from rig.quiet import wait_until

KEPT = Login("administrator", kept=True)
ANOTHER = 61003


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(2, "--password", "kept-for-a-while", "--files", "1") as lab:
        yield lab


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path / "cucmd", CONFIG, options=["--verbose"]) as daemon:
        yield daemon


def keep(client: Client, lab: Lab, password: str) -> None:
    client.keep_login(lab.nodes[:1], login=Login("administrator", password))


def test_nothing_is_written(daemon: Daemon, lab: Lab) -> None:
    with daemon.client() as client:
        keep(client, lab, lab.password)
        job = client.wait(client.check(lab.nodes[:1], login=KEPT).job_id)
        assert job.status == "succeeded", node(job, 0).error
        wait_until(lambda: client.status(job.job_id).closed)
        assert client.forget_login().forgotten == 1
    assert "KeepLogin" in daemon.log.read_text()
    assert written.passwords_in(daemon.folder) == []


def test_no_other_node_gets_it(daemon: Daemon, lab: Lab) -> None:
    before = lab.report()["nodes"][lab.nodes[1]]
    with daemon.client() as client:
        keep(client, lab, lab.password)
        for nodes in (lab.nodes[1:], lab.nodes):
            with pytest.raises(InvalidRequest) as caught:
                client.check(nodes, login=KEPT)
            assert caught.value.parameters.parameter.startswith("login")
        assert client.list() == ()
    assert lab.report()["nodes"][lab.nodes[1]] == before


def test_refusal_forgets_it(daemon: Daemon, lab: Lab) -> None:
    wrong = f"{lab.password}-but-wrong"
    written.PASSWORDS.add(wrong)
    with daemon.client() as client:
        keep(client, lab, wrong)
        job = client.wait(client.check(lab.nodes[:1], login=KEPT).job_id)
        assert node(job, 0).failure.code == "auth_failed"
        assert "cucmctl login" in node(job, 0).failure.hint
        assert client.all_logins().logins is None


@needs_root
def test_no_other_user_gets_it(tmp_path: Path, lab: Lab) -> None:
    rules = '[access]\noperate_group = "daemon"\n'
    with (
        running_daemon(tmp_path / "cucmd", CONFIG + rules) as daemon,
        daemon.client() as client,
    ):
        allow_all_to_connect(daemon)
        keep(client, lab, lab.password)
        as_operator = {"groups": [1], "gid": 1}
        assert "administrator" not in ctl_as(daemon, ANOTHER, "credentials", **as_operator).stdout
        done = ctl_as(daemon, ANOTHER, "check", lab.nodes[0], **as_operator)
        assert (done.returncode, client.list()) == (65, ())
        assert ctl_as(daemon, ANOTHER, "logout", **as_operator).returncode == 0
        job = client.wait(client.check(lab.nodes[:1], login=KEPT).job_id)
        assert job.status == "succeeded", node(job, 0).error
