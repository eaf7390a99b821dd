"""The page as somebody uses it who means harm: with requests that no browser would send."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

from cucmweb.token_file import add
from rig.web import Answer, Web

pytestmark = pytest.mark.long

FORM = {"content-type": "application/x-www-form-urlencoded"}


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
def cookie(page_web: Web, post: Callable[..., Answer]) -> str:
    """The cookie of somebody who has signed in, an operator."""
    token = add(Path(page_web.log.parent, "tokens.toml"), "anna", "operate", None)
    return post("/ui/login", token=token).headers["set-cookie"].partition(";")[0]


def test_form_may_come_after_its_head(post: Callable[..., Answer], cookie: str) -> None:
    assert post("/ui/start", cookie, nodes="a" * 60_000).status == 400
