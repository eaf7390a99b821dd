"""A job is started once and tried again, whatever becomes of the daemon meanwhile."""

import signal
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from cucmctl import Client
from cucmd.job.kind import format_utc
from cucmd.protocol.jobs import Job
from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import start, statuses
from rig.lab import Lab, free_port, running_lab
from rig.parameters import more

Call = Callable[[Client], Job]


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the path at which clients call; `Daemon.link_at` makes it lead to a daemon."""
    return tmp_path_factory.mktemp("s") / "sock"


def config_with(tmp_path: Path, lab: Lab) -> str:
    return CONFIG + named_credential(tmp_path / "given", "lab", lab.username, lab.password)


# The daemon is killed in the middle of the call


@contextmanager
def killed_in(
    folder: Path, config: str, moment: str, address: Path, call: Call
) -> Iterator[tuple[Daemon, Job]]:
    """Yields the daemon that came after the one that was killed, and what the caller was given."""
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


# The daemon is restarted while somebody follows the job


# Nodes that were not well are tried again once they are


def exported(daemon: Daemon, job_id: str, path: Path) -> set[str]:
    done = daemon.ctl("export", job_id, "-o", str(path))
    assert done.returncode == 0, done.stderr
    with tarfile.open(path) as tar:
        return {name for name in tar.getnames() if "/" in name and "transcripts" not in name}


@pytest.mark.long
def test_retry_collects_from_recovered_node(tmp_path: Path) -> None:
    """Node 2 was cut off in the middle of its files."""
    port = ("--port", free_port(), "--host-key", str(tmp_path / "key"))
    secret = tmp_path / "secret"
    with running_daemon(tmp_path / "cucmd") as daemon, daemon.client() as client:
        with running_lab(2, *port, "--fault", "2=upload-cut") as lab:
            first = client.wait(start(client, lab).job_id)
        assert statuses(first) == ["succeeded", "failed"]
        refused = daemon.ctl("retry", first.job_id, start_new_session=True, input="")
        assert refused.returncode == 2, "the password was typed, and there is no terminal"
        secret.touch(0o600)
        secret.write_text(lab.password)

        with running_lab(2, *port) as lab:
            given = ("--password-file", str(secret), "--wait")
            done = daemon.ctl("retry", first.job_id, *given)
            report = lab.report()
        secret.unlink()
        assert (done.returncode, done.stdout) == (0, f"{first.job_id}\n"), done.stderr
        assert f"cucmctl export {first.job_id}" in done.stderr.splitlines()[-1]
        assert report["logins"] == 1, "what succeeded is not collected again"

        job = client.status(first.job_id)
        assert (job.status, job.retries) == ("succeeded", 1)
        assert job.ran_before == (first.completed_at - first.started_at).total_seconds()
        assert client.list()[0].ran_before == job.ran_before
        assert job.nodes[0].completed_at == first.nodes[0].completed_at
        files = list(client.files(job.job_id))
        by_node = {
            name: {(file.attempt, file.complete, file.exported) for file in files}
            for name, files in (
                (node, [file for file in files if file.node == node]) for node in lab.nodes
            )
        }
        assert by_node[lab.nodes[0]] == {(1, True, True)}
        failed, succeeded = job.nodes[1].attempt - 1, job.nodes[1].attempt
        assert (succeeded, True, True) in by_node[lab.nodes[1]]
        assert {made for made in by_node[lab.nodes[1]] if made[0] <= failed} == {
            made for made in by_node[lab.nodes[1]] if not made[2]
        }
        wanted = {f"{file.node.replace(':', '_')}/{file.path}" for file in files if file.exported}
        assert exported(daemon, job.job_id, tmp_path / "x.tar") == wanted
        with tarfile.open(tmp_path / "x.tar") as tar:
            summary = tar.extractfile("summary.txt").read().decode()
        assert f"Started:    {format_utc(first.started_at)}" in summary
        assert f"Ended:      {format_utc(job.completed_at)}" in summary
        nothing = daemon.ctl("retry", job.job_id)
        assert nothing.returncode == 65, "all have succeeded: nobody is asked for a password"
