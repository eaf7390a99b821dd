"""Event streams over HTTP with a real daemon."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import in_phase, start, until
from rig.lab import Lab
from rig.quiet import wait_until
from rig.web import Web, events_of, running_web

MakeLab = Callable[..., Lab]


class Listener:
    """Reads a stream in a thread until it ends. All its events are in `events` then."""

    def __init__(self, web: Web, path: str, last: str | None = None) -> None:
        self.events: list[dict[str, str]] = []
        self._thread = threading.Thread(target=self._run, args=(web, path, last))
        self._begun = threading.Event()

    @contextmanager
    def listening(self) -> Iterator["Listener"]:
        self._thread.start()
        assert self._begun.wait(60)
        yield self
        self._thread.join(120)
        assert not self._thread.is_alive()

    def _run(self, web: Web, path: str, last: str | None) -> None:
        with web.events(path, last) as events:
            for event in events:
                self.events.append(event)
                self._begun.set()

    @property
    def revisions(self) -> list[int]:
        return [int(event["id"]) for event in self.events if "id" in event]


@pytest.mark.long
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_streams_survive_daemon_restart(tmp_path: Path, make_lab: MakeLab, end: str) -> None:
    lab = make_lab(2, "--fault", "2=hang:command*1")
    login = named_credential(tmp_path / "credentials", "lab", lab.username, lab.password)
    folder, path = tmp_path / "cucmd", tmp_path / "socket"
    with ExitStack() as stack:
        web = stack.enter_context(running_web(tmp_path / "web", path))
        with running_daemon(folder, CONFIG + login) as daemon, daemon.client() as client:
            daemon.link_at(path)
            job_id = start(client, lab, credential="lab", grace=1).job_id
            listener = Listener(web, f"/jobs/{job_id}/events")
            listening = listener.listening()
            listening.__enter__()
            until(client, job_id, in_phase("command"))
            client.close()
            getattr(daemon, end)()
        with running_daemon(folder, CONFIG + login) as daemon, daemon.client() as client:
            daemon.link_at(path)
            job = client.wait(job_id, timeout=60)
            listening.__exit__(None, None, None)
            assert job.status == "succeeded"
            revisions = listener.revisions
            assert revisions == sorted(set(revisions)), "none is told twice"
            assert json.loads(listener.events[-1]["data"])["closed"] is True
            newest = client.status(job_id).revision
            again = web.ask("GET", f"/jobs/{job_id}/events", headers={"last-event-id": "1"})
            told = [int(one["id"]) for one in events_of(io.BytesIO(again.body)) if "id" in one]
            assert told[-1] >= newest
            stack.close()  # its connections, before it is looked at what the daemon holds


@pytest.mark.long
def test_reader_waits_for_absent_daemon(tmp_path: Path, make_lab: MakeLab) -> None:
    lab = make_lab(1, "--fault", "hang:accept")
    path, unknown = tmp_path / "socket", "/jobs/57f3c2a1/events"
    with ExitStack() as stack:
        web = stack.enter_context(running_web(tmp_path / "web", path))
        everything = stack.enter_context(web.events("/events"))
        nothing = stack.enter_context(web.events(unknown, "7"))
        with running_daemon(tmp_path / "cucmd") as daemon, daemon.client() as client:
            daemon.link_at(path)
            assert list(nothing) == []
            assert web.ask("GET", unknown).status == 404
            job_id = start(client, lab).job_id
            assert json.loads(next(everything)["data"])["job_id"] == job_id
            client.cancel(job_id)
            stack.close()


@pytest.mark.long
def test_reader_survives_kill_of_cucmweb(tmp_path: Path, daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(1, "--fault", "hang:accept")
    with daemon.client() as client:
        job_id = start(client, lab).job_id
        until(client, job_id, lambda job: job.nodes[0].phase is not None)
        path = f"/jobs/{job_id}/events"
        with running_web(tmp_path / "web", daemon.socket) as web, web.events(path) as events:
            have = int(next(events)["id"])
            web.kill()
        client.cancel(job_id)
        with running_web(tmp_path / "web", daemon.socket) as web:
            with Listener(web, path, str(have)).listening() as listener:
                pass
            assert listener.revisions == sorted(set(listener.revisions))
            assert listener.revisions[0] > have
            assert json.loads(listener.events[-1]["data"])["closed"] is True


@pytest.mark.long
def test_reconnecting_reader_gets_missed_events(
    web: Web, daemon: Daemon, make_lab: MakeLab
) -> None:
    lab = make_lab(1, "--fault", "hang:accept")
    with daemon.client() as client:
        job_id = start(client, lab).job_id
        path = f"/jobs/{job_id}/events"
        with Listener(web, path).listening() as first:
            client.cancel(job_id)
        have, *rest = first.revisions
        with Listener(web, path, str(have)).listening() as second:
            pass
        assert rest
        assert second.revisions == sorted(set(second.revisions))
        assert second.revisions[0] > have
        assert second.revisions[-1] >= rest[-1]

        def is_told_that_it_is_over() -> bool:
            headers = {"last-event-id": str(client.status(job_id).revision)}
            return web.ask("GET", path, headers=headers).status == 204

        wait_until(is_told_that_it_is_over)  # a revision may have come in between
