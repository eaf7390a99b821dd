"""sites.toml, and what an export does when its link breaks."""

import io
import os
import resource
import tarfile
import tempfile
from pathlib import Path

import pytest

from cucmctl.cli.options import UsageError
from cucmctl.cli.options import parse as parse_command
from cucmctl.client.errors import DaemonUnavailable
from cucmctl.commands import delete, watch
from cucmctl.export.received import Export, ResumedExport
from cucmctl.export.save import FolderSink, save
from cucmctl.sites.connection import JITTER, Connection, SiteUnreachable
from cucmctl.sites.places import Site, chosen, load, sites_of
from cucmctl.sites.several import log_in, which_is_old
from cucmd.protocol.cases import ExportReply
from cucmd.toml_file import ConfigError, parse


def place(value: str) -> Site:
    file = parse("sites.toml", f"[sites]\nberlin = {value!r}\n".encode())
    return sites_of(file, file.document["sites"])["berlin"]


@pytest.mark.parametrize(
    ("value", "site"),
    [
        ("ssh://host", Site("berlin", "ssh://host")),
        ("ssh://host.example.org:2222", Site("berlin", "ssh://host.example.org:2222")),
        (
            "ssh://user@10.0.0.1:22/run/x/a.sock",
            Site("berlin", "ssh://user@10.0.0.1:22", "/run/x/a.sock"),
        ),
        ("ssh://[fe80::1]:22", Site("berlin", "ssh://[fe80::1]:22")),
    ],
)
def test_place_has_optional_parts(value: str, site: Site) -> None:
    assert place(value) == site


@pytest.mark.parametrize(
    "value",
    [
        "",
        "host",
        "http://host",
        "ssh://",
        "ssh://-oProxyCommand=touch",
        "ssh://-oProxyCommand=touch@host",
        "ssh://-host",
        "ssh://us;er@host",
        "ssh://user@host;reboot",
        "ssh://$(reboot)",
        "ssh://%h",
        "ssh://host:0",
        "ssh://host:65536",
        "ssh://host/run/$(reboot)",
        "ssh://host/run/a:b",
        "ssh://host/run/../a b",
        "ssh://host\n",
        "ssh://ho\\u0000st",
    ],
)
def test_unsafe_place_is_refused(value: str) -> None:
    file = parse(
        "sites.toml", f'[sites]\n# x\nberlin = "{value}"\n'.replace('\n"', '\\n"').encode()
    )
    with pytest.raises(ConfigError) as raised:
        sites_of(file, file.document["sites"])
    assert (raised.value.key, raised.value.line) == ("sites.berlin", 3)


@pytest.mark.parametrize("name", ["all", '"sites.txt"', '"-x"', '"a/b"', '"a,b"', '"a b"', '""'])
def test_unusable_name_is_refused(name: str) -> None:
    file = parse("sites.toml", f'[sites]\n{name} = "ssh://host"\n'.encode())
    with pytest.raises(ConfigError):
        sites_of(file, file.document["sites"])


def test_own_file_is_read_first(tmp_path: Path) -> None:
    (tmp_path / "cucmctl").mkdir()
    (tmp_path / "cucmctl/sites.toml").write_text('timeout = 3\n[sites]\na = "ssh://host"\n')
    assert load({"XDG_CONFIG_HOME": str(tmp_path)}) == {"a": Site("a", "ssh://host", timeout=3)}


@pytest.mark.parametrize("content", ["[sites", "timeout = 0\n[sites]\n", "[site]\n", "sites = 1"])
def test_wrong_file_is_wrong_usage(content: str, tmp_path: Path) -> None:
    (tmp_path / "cucmctl").mkdir()
    (tmp_path / "cucmctl/sites.toml").write_text(content)
    with pytest.raises(UsageError, match=r"sites\.toml"):
        load({"XDG_CONFIG_HOME": str(tmp_path)})


def test_all_means_all_sites() -> None:
    sites = {name: Site(name, "ssh://host") for name in "ab"}
    assert [site.name for site in chosen(["b", "all"], sites)] == ["b", "a"]
    with pytest.raises(UsageError):
        chosen(["c"], sites)
    with pytest.raises(UsageError):
        chosen(["all"], {})


def test_sites_are_named_if_none_is_near() -> None:
    with pytest.raises(UsageError) as raised:
        chosen(["rome"], {name: Site(name, "ssh://host") for name in ("berlin", "munich")})
    assert "berlin, munich" in str(raised.value)
    assert "mean" not in str(raised.value)


def test_site_is_unreachable_without_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The path of the folder of a test would be too long.
    with tempfile.TemporaryDirectory(prefix="sites-") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            with pytest.raises(SiteUnreachable):
                Connection(Site("a", "ssh://host"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_id_names_its_sites() -> None:
    parsed = parse_command("wait", watch.COMMANDS["wait"], ["3F2A91C4@Berlin,munich"])
    assert (parsed.sites_id, parsed.site) == ("3f2a91c4", ("Berlin", "munich"))


@pytest.mark.parametrize(
    "words", ["3f2a@berlin 9c01", "3f2a@berlin --site munich", "3f2a@berlin --socket /x"]
)
def test_id_with_sites_stands_alone(words: str) -> None:
    with pytest.raises(UsageError, match="3f2a@berlin"):
        parse_command("delete", delete.COMMANDS["delete"], words.split())


@pytest.mark.parametrize(
    ("here", "there", "old"),
    [
        ("0.9.1", "0.10.0", "this cucmctl 0.9.1"),
        ("0.10.0", "0.9.1", "cucmd 0.9.1 at the site"),
        ("0.10.0", "strange", "cucmd strange at the site"),
    ],
)
def test_older_version_is_named(here: str, there: str, old: str) -> None:
    assert which_is_old(here, there).startswith(f"{old} may be too old")


def test_logins_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # so that ssh cannot be started
    waits: list[float] = []
    turns = os.eventfd(1)
    for _ in range(100):
        with pytest.raises(SiteUnreachable):
            log_in(Site("a", "ssh://host"), turns, waits.append)
    os.close(turns)
    assert 0 <= min(waits) < JITTER / 2 < max(waits) <= JITTER


FILES = {"n/a": b"a" * 700, "n/empty": b"", "n/b": b"b" * 512, "n/c": b"c" * 5000}


def tar(after: str | None) -> bytes:
    """Returns what the daemon sends after a file, or from the beginning."""
    names = list(FILES)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in names[names.index(after) + 1 if after else 0 :]:
            info = tarfile.TarInfo(name)
            info.size = len(FILES[name])
            archive.addfile(info, io.BytesIO(FILES[name]))
    return out.getvalue()[: archive.offset]


class Link:
    """Stands for a connection that breaks after some bytes."""

    def __init__(self, data: bytes, breaks_after: int) -> None:
        self._data = io.BytesIO(data[:breaks_after])

    def receive_bytes(self, size: int, deadline: float | None) -> bytes:
        if not (data := self._data.read(min(size, 300))):
            raise DaemonUnavailable("the link broke")
        return data

    def close(self) -> None:
        pass


class Daemon:
    """Begins exports over a link that breaks. `begun` has the files after which they began."""

    def __init__(self, breaks_after: int, *, grown: bool = False) -> None:
        self.begun: list[str | None] = []
        self._breaks_after = breaks_after
        self._grown = grown

    def export(self, after: str | None) -> Export:
        data = tar(after)
        data += bytes(512) if self._grown and self.begun else b""
        self.begun.append(after)
        reply = ExportReply("3f2a", "x", len(data), len(FILES), 0, 0)
        return Export(Link(data, self._breaks_after), reply)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ResumedExport, "PAUSE", 0)


@pytest.mark.parametrize("breaks_after", [6000, 6200, 7000, 8000])
def test_cut_off_export_goes_on(breaks_after: int, tmp_path: Path) -> None:
    daemon = Daemon(breaks_after)
    with ResumedExport(daemon.export, lambda text: None, 60) as export:
        save(export, FolderSink(tmp_path), passed=export.passed)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES
    assert daemon.begun[:1] == [None]
    assert len(daemon.begun) > 1
    assert None not in daemon.begun[1:]


@pytest.mark.parametrize(("patience", "grown"), [(0, False), (60, True)])
def test_export_that_cannot_go_on_fails(patience: float, *, grown: bool, tmp_path: Path) -> None:
    daemon = Daemon(6000, grown=grown)
    with (
        ResumedExport(daemon.export, lambda text: None, patience) as export,
        pytest.raises(DaemonUnavailable),
    ):
        save(export, FolderSink(tmp_path), passed=export.passed)
    assert len(daemon.begun) == (2 if grown else 1)
