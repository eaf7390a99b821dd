"""Kills the daemon during a call: the next daemon replies, and there is one job."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from cucmctl import Client
from cucmd.protocol.jobs import Job
from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import start, statuses
from rig.lab import Lab, running_lab
from rig.parameters import more

Call = Callable[[Client], Job]


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the path at which clients call; `Daemon.link_at` makes it lead to a daemon."""
    return tmp_path_factory.mktemp("s") / "sock"


def config_with(tmp_path: Path, lab: Lab) -> str:
    return CONFIG + named_credential(tmp_path / "given", "lab", lab.username, lab.password)


@contextmanager
def killed_in(
    folder: Path, config: str, moment: str, address: Path, call: Call
) -> Iterator[tuple[Daemon, Job]]:
    """Kills a daemon during a call; yields the next daemon, and the reply to the call."""
    odd = {"environ": {"CUCMD_TEST_KILLED": moment}, "module": "rig.odd_daemon"}
    with Client(address) as caller, ThreadPoolExecutor(1) as thread:
        with running_daemon(folder, config, **odd) as daemon:
            daemon.link_at(address)
            given = thread.submit(call, caller)
            assert daemon.process.wait(30) == -signal.SIGKILL
        with running_daemon(folder, config) as daemon:
            daemon.link_at(address)
            job = given.result(60)
            caller.close()
            yield daemon, job


@pytest.mark.long
@pytest.mark.parametrize("when", ["after", *more("before")])
def test_cut_off_start_makes_one_job(tmp_path: Path, address: Path, when: str) -> None:
    with running_lab(1) as lab:
        config = config_with(tmp_path, lab)
        with (
            killed_in(
                tmp_path / "cucmd",
                config,
                f"{when} add_job",
                address,
                lambda client: start(client, lab, credential="lab"),
            ) as (daemon, job),
            daemon.client() as client,
        ):
            assert [one.job_id for one in client.list()] == [job.job_id]
            assert client.wait(job.job_id, timeout=60).status == "succeeded"
        assert lab.report()["logins"] == 1


@pytest.mark.long
@pytest.mark.parametrize("when", ["after", "before"])
def test_cut_off_retry_tries_once(tmp_path: Path, address: Path, when: str) -> None:
    with running_lab(1, "--fault", "silent-return:command*1") as lab:
        config, folder = config_with(tmp_path, lab), tmp_path / "cucmd"
        with running_daemon(folder, config) as daemon, daemon.client() as client:
            job = client.wait(start(client, lab, credential="lab").job_id)
            assert statuses(job) == ["failed"]
        moment = f"{when} reopen_job"
        with killed_in(
            folder, config, moment, address, lambda client: client.retry(job.job_id)
        ) as (daemon, again):
            assert (again.job_id, again.retries) == (job.job_id, 1)
            with daemon.client() as client:
                ended = client.wait(job.job_id, timeout=60)
                assert (ended.status, ended.retries) == ("succeeded", 1)
                assert len(client.list()) == 1
