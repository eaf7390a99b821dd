"""The page as somebody uses it who means harm: with requests that no browser would send."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPResponse
from itertools import islice
from pathlib import Path
from urllib.parse import urlencode

import pytest

from cucmweb.page.live import MOST_OF_BROWSER
from cucmweb.token_file import add
from rig.daemon import Daemon
from rig.quiet import wait_until
from rig.web import Answer, Web, running_web

pytestmark = pytest.mark.long

# All of 127.0.0.0/8 is this machine. A client may choose from which of its addresses it comes.
PROXY = "127.0.0.2"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def page_web(tmp_path: Path, page_daemon: Daemon) -> Iterator[Web]:
    config = f'[proxy]\nheader = "X-User"\nrole = "view"\ntrusted = ["{PROXY}"]\n'
    with running_web(tmp_path / "web", page_daemon.socket, config, tcp=True) as web:
        yield web


@pytest.fixture
def post(page_web: Web) -> Callable[..., Answer]:
    """Posts a form: `post("/ui/start", cookie, nodes="a")`."""

    def make(path: str, cookie: str = "", **form: str) -> Answer:
        # The body is sent once cucmweb waits for it, as by a client that is far away.
        own = f"http://127.0.0.1:{page_web.port}"
        body = urlencode(form).encode()
        with closing(page_web.connection()) as connection:
            connection.putrequest("POST", path)
            head = FORM | {"origin": own, "cookie": cookie, "content-length": str(len(body))}
            head["expect"] = "100-continue"
            for name, value in head.items():
                connection.putheader(name, value)
            connection.endheaders()
            assert connection.sock.recv(1024).startswith(b"HTTP/1.1 100")
            connection.send(body)
            reply = connection.getresponse()
            headers = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, headers, reply.read())

    return make


@pytest.fixture
def sign_in(page_web: Web, post: Callable[..., Answer]) -> Callable[[str], str]:
    """Signs an operator in, and returns the cookie."""

    def make(name: str) -> str:
        token = add(Path(page_web.log.parent, "tokens.toml"), name, "operate", None)
        return post("/ui/login", token=token).headers["set-cookie"].partition(";")[0]

    return make


@pytest.fixture
def cookie(sign_in: Callable[[str], str]) -> str:
    return sign_in("anna")


def test_form_may_come_after_its_head(post: Callable[..., Answer], cookie: str) -> None:
    assert post("/ui/start", cookie, nodes="a" * 60_000).status == 400


@pytest.mark.parametrize(
    "name", ["..%2Fstatic%2Fstyle.css", "%2Fusr%2Fshare%2Fa.css", "a%00.css", "..", "a.css"]
)
def test_static_files_are_those_of_the_page(page_web: Web, cookie: str, name: str) -> None:
    assert page_web.ask("GET", f"/ui/static/{name}", None, {"cookie": cookie}).status == 404


@pytest.mark.parametrize("path", ["/ui/stream", "/ui/jobs/0/stream", "/ui/jobs/0/export.zip"])
def test_reply_in_pieces_has_no_head(page_web: Web, cookie: str, path: str) -> None:
    assert page_web.ask("HEAD", path, None, {"cookie": cookie}).status == 405


def test_nobody_ends_the_streams_of_others(
    page_web: Web, sign_in: Callable[[str], str], stack: ExitStack
) -> None:
    def stream(cookie: str) -> HTTPResponse:
        connection = stack.enter_context(closing(page_web.connection()))
        headers = {"cookie": f"{cookie}; cucmweb_browser=7"}
        reply = page_web.asked(connection, "GET", "/ui/stream", None, headers)
        reply.readline()
        return reply

    mine, other = stream(sign_in("anna")), sign_in("otto")
    theirs = [stream(other) for _ in range(MOST_OF_BROWSER + 1)]
    assert theirs[0].read()  # to its end, which is that of the oldest stream
    states = sum(1 for _ in islice((line for line in mine if b"no jobs" in line), 2))
    assert states == 2


@pytest.mark.parametrize(("address", "path"), [("127.0.0.1", "/ui/"), (PROXY, "/ui/start")])
def test_header_of_a_proxy_comes_before_a_cookie(
    page_web: Web, cookie: str, address: str, path: str
) -> None:
    """From elsewhere that header is refused, and behind the proxy everybody is a viewer."""
    with closing(page_web.connection(source=address)) as connection:
        headers = {"cookie": cookie, "x-user": "bob"}
        assert page_web.asked(connection, "GET", path, None, headers).status == 403


def test_stranger_is_nobody_in_the_log(page_web: Web, post: Callable[..., Answer]) -> None:
    assert post("/ui/login", token="guessed").status == 401
    wait_until(lambda: "POST /ui/login by" in page_web.log.read_text())
    assert "POST /ui/login by nobody" in page_web.log.read_text()


def test_cookie_is_not_for_programs(page_web: Web, cookie: str) -> None:
    assert page_web.ask("GET", "/ui/", None, {"cookie": cookie}).status == 200
    assert page_web.ask("GET", "/jobs", None, {"cookie": cookie}).status == 401
