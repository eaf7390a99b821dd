"""The view that searches the files of a job, as a browser without scripts asks for it."""

import io
import re
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from rig.collected import JOB_ID
from rig.daemon import CONFIG, running_daemon
from rig.searched import SDL, header, make_job
from rig.web import Answer, Web, running_web

BERLIN = ZoneInfo("Europe/Berlin")  # the zone of the node `pub`
LINES = [
    "00000002.000 |23:10:00.120 |SdlSig |<b>&INVITE\x1b[2J\u202e",
    *["00000003.000 |23:11:00.000 |SdlSig |MANY"] * 600,
]
ROW = re.compile(r'<tr><td data-is="Time".*?</tr>', re.DOTALL)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("find")
    begin = header(datetime(2026, 11, 27, 23, 0), BERLIN)
    content = begin + "\n".join([*LINES, ""]).encode()
    make_job(
        folder / "cucmd" / "state", {f"pub/{SDL.format(1)}": content, "sub1/x.txt": b"INVITE\n"}
    )
    with (
        running_daemon(folder / "cucmd", CONFIG) as daemon,
        running_web(folder / "web", daemon.socket) as web,
    ):
        yield web


@pytest.fixture
def find(web: Web) -> Callable[..., Answer]:
    """Sends the form: `find("INVITE", node="pub")`."""

    def ask(what: str, **fields: str) -> Answer:
        query = urlencode({"for": "text", "what": what, **fields})
        headers = {"cookie": "cucmweb_zone=Asia%2FTokyo"}
        return web.ask("GET", f"/ui/jobs/{JOB_ID}/find?{query}", None, headers)

    return ask


def test_job_has_the_form(web: Web) -> None:
    text = web.ask("GET", f"/ui/jobs/{JOB_ID}").body.decode()
    assert f'method="get" action="/ui/jobs/{JOB_ID}/find"' in text
    assert 'name="what"' in text


def test_export_has_only_found_files(web: Web) -> None:
    answer = web.ask("GET", f"/jobs/{JOB_ID}/export.tar?text=INVITE&nodes=sub1")
    assert answer.status == 200
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
        names = [name.rpartition("/")[2] for name in tar.getnames() if name.startswith("sub1/")]
    assert names == ["x.txt"]
    none = web.ask("GET", f"/jobs/{JOB_ID}/export.tar?text=no-such-text")
    with tarfile.open(fileobj=io.BytesIO(none.body)) as tar:
        assert [name for name in tar.getnames() if "/" in name] == []


def test_match_is_shown_safely(find: Callable[..., Answer]) -> None:
    (row,) = ROW.findall(find("INVITE", node="pub").body.decode())
    assert "2026-11-28 07:10:00.120" in row  # in the zone of the viewer
    assert "&lt;b&gt;&amp;<mark>INVITE</mark>\\x1b[2J\\u202e" in row


def test_only_the_first_matches_are_shown(find: Callable[..., Answer]) -> None:
    text = find("MANY").body.decode()
    assert len(ROW.findall(text)) == 500
    assert "the first 500 matches" in text


@pytest.mark.parametrize(
    ("fields", "rows"),
    [
        ({}, 2),
        ({"node": "sub1"}, 1),
        ({"path": "sdl"}, 1),
        ({"since": "2026-11-28T08:00", "node": "pub"}, 0),
        ({"for": "regex", "what": "^INV"}, 1),
        ({"what": "invite", "ignore_case": "yes"}, 2),
    ],
)
def test_fields_narrow_the_search(
    find: Callable[..., Answer], fields: dict[str, str], rows: int
) -> None:
    answer = find("INVITE", **fields) if "what" not in fields else find(**fields)
    assert (answer.status, len(ROW.findall(answer.body.decode()))) == (200, rows)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("what", {"for": "regex", "what": "("}),
        ("what", {"for": "path", "what": "x"}),
        ("since", {"what": "x", "since": "soon"}),
    ],
)
def test_wrong_field_is_marked(
    find: Callable[..., Answer], field: str, fields: dict[str, str]
) -> None:
    answer = find(**fields)
    (wrong,) = re.findall(r"<input[^>]*aria-invalid[^>]*>", answer.body.decode())
    assert answer.status == 400
    assert f'name="{field}"' in wrong
