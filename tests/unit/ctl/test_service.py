"""Messages about a service that does not run, from the properties of its unit."""

import os
import socket
from types import SimpleNamespace

import pytest

from cucmctl import Client
from cucmctl.client import calls, unit_state
from cucmctl.commands.lookup import note_own_daemon
from rig.varlink_peer import short_path

SERVICE = "/run/cucmd/cucmd.sock"
FAILED = {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}
WRONG = {"ExecMainStatus": "78", "StatusText": "/etc/cucmd/cucmd.toml:3: is not TOML"}
AGAIN = {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}


@pytest.mark.parametrize(
    "unit",
    [
        {},  # systemd did not answer
        {"ActiveState": "inactive", "SubState": "dead", "Result": "success"},
        {"ActiveState": "active", "SubState": "running", "Result": "success"},
        {"ActiveState": "activating", "SubState": "start", "Result": "success"},
    ],
)
def test_running_unit_is_no_failure(unit):
    assert unit_state.failure(unit) is None


@pytest.mark.parametrize(
    ("unit", "starts", "said"),
    [
        ({"ActiveState": "inactive"}, False, "stopped; start it with: systemctl start cucmd"),
        ({"ActiveState": "deactivating"}, False, "stopped; start it with: systemctl start cucmd"),
        ({"ActiveState": "activating"}, True, "still starting; see systemctl status cucmd"),
        ({"ActiveState": "active"}, False, None),
        ({"ActiveState": "inactive", "LoadState": "not-found"}, False, None),
        (AGAIN, False, "has failed"),
    ],
)
def test_missing_socket_is_explained(unit, starts, said):
    unit = {"LoadState": "loaded", "Result": "success", **unit}
    assert unit_state.is_starting(unit) is starts
    why = unit_state.why_no_socket(unit)
    assert said in why if said else why is None


def test_starting_service_is_waited_for(monkeypatch):
    with short_path() as path, socket.socket(socket.AF_UNIX) as listener:

        def starting(*call, **named):
            path.parent.mkdir()
            listener.bind(os.fspath(path))
            listener.listen()
            return {"ActiveState": "activating"}

        monkeypatch.setattr(calls, "ask_systemd", starting)
        with Client(path) as client:
            client.connect()


@pytest.mark.parametrize("state", ["failed", "deactivating"])
def test_reason_is_the_status_text(state):
    said = unit_state.failure({**FAILED, **WRONG, "ActiveState": state})
    assert said is not None
    assert said.startswith("the service cucmd does not start: /etc/cucmd/cucmd.toml:3: ")
    assert said.endswith("; see systemctl status cucmd")


@pytest.mark.parametrize("state", [{}, {"ActiveState": "deactivating", "SubState": "stop-post"}])
def test_restarting_unit_is_reported(state):
    taken = {"ExecMainStatus": "69", "StatusText": "the port is taken"}
    said = unit_state.failure({**AGAIN, **taken, **state})
    assert said == (
        "the service cucmd has failed and will be started again: the port is taken; "
        "see systemctl status cucmd"
    )


def test_crash_ignores_the_status_text():
    ran = {"ExecMainStatus": "6", "StatusText": "3 jobs queued or running"}
    said = unit_state.failure({**FAILED, **ran, "Result": "watchdog"})
    assert said == "the service cucmd does not start: watchdog; see systemctl status cucmd"


@pytest.fixture
def failed(monkeypatch, tmp_path):
    """Lets systemctl report that the service has failed."""
    systemctl = tmp_path / "systemctl"
    said = "\n".join(f"{name}={value}" for name, value in {**FAILED, **WRONG}.items())
    systemctl.write_text(f"#!/bin/sh\ncat <<END\n{said}\nEND\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(unit_state, "PATIENCE", 60.0)  # a machine may be busy


@pytest.mark.parametrize("chosen", [True, False])
def test_service_socket_is_explained(failed, chosen):
    assert unit_state.ask_systemd(SERVICE, chosen=chosen, booted="/")


def test_missing_own_socket_means_the_service(failed, tmp_path):
    own = tmp_path / "cucmd.sock"
    assert unit_state.ask_systemd(str(own), chosen=False, booted="/")
    assert unit_state.ask_systemd(str(own), chosen=True, booted="/") == {}
    own.touch()
    assert unit_state.ask_systemd(str(own), chosen=False, booted="/") == {}


def test_systemd_may_be_missing(failed):
    assert unit_state.ask_systemd(SERVICE, chosen=False, booted="/no/such/folder") == {}


@pytest.mark.parametrize(("chosen", "both", "said"), [(False, True, 1), (True, True, 0), (0, 0, 0)])
def test_own_daemon_beside_the_service(tmp_path, capsys, chosen, both, said):
    service = tmp_path / "service.sock"
    if both:
        service.touch()
    client = SimpleNamespace(chosen=chosen, socket=str(tmp_path / "own.sock"))
    note_own_daemon(client, str(service))
    assert capsys.readouterr().err.count(f"--socket {service}") == said
