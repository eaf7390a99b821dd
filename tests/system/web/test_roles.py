"""Each path with each role, by the daemon's own table of rights."""

import grp
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import Struct

from cucmd.job.work_request import Login
from cucmd.service.access import RIGHTS, Right
from cucmweb.operations import FOR_ANYBODY, OPERATIONS, OWN
from cucmweb.token_file import add, changed_tokens, revoke
from cucmweb.tokens import PREFIX, Token, hash_of
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.others import allow_all_to_connect, folder_of, reason_to_skip
from rig.web import Answer, Web, running_web

# Whoever runs the tests speaks for others, and runs the daemon too.
SPEAKS = f'[access]\nmay_speak_for = ["{os.geteuid()}"]\n'
# All of 127.0.0.0/8 is this machine, and a client may choose from which address it comes.
PROXY, ELSEWHERE = "127.0.0.2", "127.0.0.1"
CONFIGURATION = f"""
[proxy]
header = "X-Remote-User"
role_header = "X-Remote-Role"
trusted = ["{PROXY}"]
"""
ENDED = PREFIX + "ended"

UNKNOWN = {"{job_id}": "00000000", "{node}": "10.0.0.1", "{target}": "vendor"}
PASSWORD = "Tr0ub4dor-3"
# Without a node nothing is started; that is looked at once it is known who asks.
START = {"nodes": [], "login": {"username": "u", "password": PASSWORD}, "check": {}}
BODIES = {
    ("POST", "/jobs"): START,
    ("PATCH", "/jobs/{job_id}"): {"labels": {"a": "b"}},
    ("POST", "/jobs/{job_id}/handovers"): {"target": "vendor"},
}

# The right that each path needs. For None, it is enough to be known.
NEEDED: dict[tuple[str, str], Right | None] = {
    **{
        (one.verb, one.path): Right.OPERATE if one.own else RIGHTS[one.method] for one in OPERATIONS
    },
    **{("GET", path): None for path in OWN},
}


class Asking(Struct, frozen=True):
    """Who makes a request: a token of that name, a proxy at that address, or neither."""

    token: str = ""
    address: str = ELSEWHERE
    name: str = ""
    role: str = ""
    at_unix: bool = False


def outcome(right: Right | None, *, role: str) -> int | None:
    """Returns the status with which that role is refused, or None."""
    looks_only = role == "view" and right not in (None, Right.VIEW)
    return 403 if looks_only else None


def of_all(refused: Callable[[Right | None], int | None]) -> dict[tuple[str, str], int | None]:
    return {
        (verb, path): None if path in FOR_ANYBODY else refused(right)
        for (verb, path), right in NEEDED.items()
    }


ALL_401 = of_all(lambda right: 401)
ALL_403 = of_all(lambda right: 403)
AS_VIEW = of_all(lambda right: outcome(right, role="view"))
AS_OPERATE = of_all(lambda right: outcome(right, role="operate"))


class Served(Struct):
    """The same daemon, served at TCP and at a Unix socket."""

    daemon: Daemon
    at_tcp: Web
    at_unix: Web
    secrets: dict[str, str]

    def asked(
        self, who: Asking, verb: str, path: str, body: object = None, **headers: str
    ) -> Answer:
        """Returns the reply. If it is not a refusal, only its head is read, since some replies
        never end.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if who.token:
            sent["authorization"] = f"Bearer {self.secrets[who.token]}"
        if who.name:
            sent |= {"x-remote-user": who.name, "x-remote-role": who.role}
        web = self.at_unix if who.at_unix else self.at_tcp
        with closing(web.connection(source=who.address)) as connection:
            reply = web.asked(connection, verb, path, body, sent)
            content = reply.read() if reply.status >= 400 or reply.status == 201 else b""
            return Answer(reply.status, dict(reply.getheaders()), content)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("roles")
    tokens = folder / "tcp" / "tokens.toml"
    tokens.parent.mkdir()
    secrets = {role: add(tokens, f"{role} token", role, 30) for role in ("view", "operate")}
    secrets |= {"revoked": add(tokens, "revoked", "operate", None), "ended": ENDED}
    secrets["another"] = add(tokens, "another token", "operate", None)
    now = datetime.now(UTC)
    old = Token("old", "operate", hash_of(ENDED), now - timedelta(2), now - timedelta(1))
    with changed_tokens(tokens) as known:
        known[old.name] = old
    with (
        running_daemon(folder / "cucmd", CONFIG + SPEAKS) as daemon,
        running_web(tokens.parent, daemon.socket, CONFIGURATION, tcp=True) as at_tcp,
        running_web(folder / "unix", daemon.socket) as at_unix,
    ):
        revoke(tokens, "revoked")
        yield Served(daemon, at_tcp, at_unix, secrets)


@pytest.mark.long
@pytest.mark.parametrize(
    ("who", "refused"),
    [
        pytest.param(Asking(), ALL_401, id="nobody"),
        pytest.param(Asking("ended"), ALL_401, id="an-ended-token"),
        pytest.param(Asking("revoked"), ALL_401, id="a-revoked-token"),
        pytest.param(Asking("view"), AS_VIEW, id="a-token-to-view"),
        pytest.param(Asking("operate"), AS_OPERATE, id="a-token-to-operate"),
        pytest.param(
            Asking(address=PROXY, name="victor", role="view"), AS_VIEW, id="a-proxy-says-view"
        ),
        pytest.param(
            Asking(address=PROXY, name="olga", role="operate"),
            AS_OPERATE,
            id="a-proxy-says-operate",
        ),
        pytest.param(Asking(address=PROXY, name="nina", role="root"), ALL_403, id="no-such-role"),
        pytest.param(Asking(name="olga", role="operate"), ALL_403, id="no-proxy-of-ours"),
        pytest.param(Asking(at_unix=True), AS_OPERATE, id="the-operator-at-the-socket"),
    ],
)
def test_each_path_needs_its_right(
    served: Served, who: Asking, refused: dict[tuple[str, str], int | None]
) -> None:
    found = {}
    for verb, path in NEEDED:
        job = re.sub(r"{\w+}", lambda name: UNKNOWN[name[0]], path)
        answer = served.asked(who, verb, job, BODIES.get((verb, path)))
        assert answer.status < 500, (verb, path, answer.body)
        found[verb, path] = answer.status if answer.status in (401, 403) else None
    assert found == refused


@pytest.mark.long
def test_error_names_may_speak_for(tmp_path: Path, daemon: Daemon) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    secret = add(folder / "tokens.toml", "alice", "view", None)
    with running_web(folder, daemon.socket, tcp=True) as web:
        answer = web.ask("GET", "/jobs", headers={"authorization": f"Bearer {secret}"})
    problem = answer.json()
    assert (answer.status, problem["code"]) == (503, "MayNotSpeakForOthers")
    assert "may_speak_for" in problem["hint"]


# A user that is in no database.
SOMEBODY = 61001


@pytest.mark.long
@pytest.mark.skipif(reason_to_skip() is not None, reason=str(reason_to_skip()))
def test_role_cannot_exceed_service_user(tmp_path: Path) -> None:
    """cucmweb's own user may only view, so a token to operate permits no more."""
    group = next(one for one in grp.getgrall() if one.gr_gid)
    access = f'[access]\nview_group = "{group.gr_name}"\nmay_speak_for = ["{SOMEBODY}"]\n'
    with (
        running_daemon(tmp_path / "cucmd", CONFIG + access) as daemon,
        daemon.client() as client,
        socket.create_server(("127.0.0.1", 0)) as silent,
        folder_of(SOMEBODY) as folder,
    ):
        allow_all_to_connect(daemon)
        secret = add(folder / "tokens.toml", "olga", "operate", None)
        os.chown(folder / "tokens.toml", SOMEBODY, -1)
        node = f"127.0.0.1:{silent.getsockname()[1]}"
        job_id = client.check([node], login=Login("u", "p")).job_id
        with running_web(folder, daemon.socket, user=SOMEBODY, groups=[group.gr_gid]) as web:
            for headers in ({"authorization": f"Bearer {secret}"}, {}):
                asked = [
                    web.ask("POST", "/jobs", START | {"nodes": [node]}, headers),
                    web.ask("POST", f"/jobs/{job_id}/cancel", None, headers),
                    web.ask("GET", f"/jobs/{job_id}", None, headers),
                ]
                assert [one.status for one in asked] == [403, 403, 200]
        assert [job.status for job in client.list()] == ["running"]
        client.cancel(job_id)
        client.wait(job_id)
