"""The configuration. An error has the key, its value and what was expected."""

from pathlib import Path

import pytest

from cucmd.toml_file import ConfigError, parse
from cucmweb.config import (
    UNIX,
    ProxySettings,
    WebConfig,
    accepts_host,
    for_addresses,
    load,
    parse_listen,
    read_config,
)
from rig.nginx import shown
from rig.pages import FENCED, web_configuration

PROXY = ProxySettings("X-Remote-User", ("127.0.0.1",), "view")


def problem(text: str) -> tuple[str, str]:
    with pytest.raises(ConfigError) as raised:
        read_config(parse("file", text.encode()))
    return raised.value.key, raised.value.reason


@pytest.mark.parametrize(
    ("text", "key", "value", "expected"),
    [
        ("[limits]\nbody = 0", "limits.body", "0", "a whole number from 1024"),
        ('[limits]\nbody = "2"', "limits.body", "'2'", "a whole number"),
        ("limits = 3", "limits", "3", "a table"),
        ("hosts = [1]", "hosts[0]", "1", "a string"),
        ('hosts = ["a", "0.0.0.0"]', "hosts[1]", "'0.0.0.0'", "a name or an address"),
        ('hosts = ["h:80"]', "hosts[0]", "'h:80'", "without a port"),
        ('listen = "x"', "listen", "'x'", "unix:PATH or HOST:PORT"),
        ('listen = "unix:x"', "listen", "'unix:x'", "an absolute path"),
        ('listen = "h:65536"', "listen", "'h:65536'", "HOST:PORT"),
        ('listen = "::1:80"', "listen", "'::1:80'", "in brackets"),
        (f'listen = "unix:/{"x" * 107}"', "listen", "'unix:/x", "at most 107 bytes"),
        ('tokens = "x"', "tokens", "", "an absolute path"),
        ('[proxy]\nrole = "x"', "proxy.role", "'x'", "one of view, operate"),
        ('[proxy]\nheader = "a b"', "proxy.header", "'a b'", "the name of a header"),
        ('[proxy]\nheader = "Host"', "proxy.header", "'Host'", "only the proxy"),
        ('[proxy]\nheader = "X"\nrole_header = "origin"', "proxy.role_header", "'or", "only"),
        ('[proxy]\ntrusted = ["unix"]', "proxy.header", "''", "the header"),
        ('[proxy]\nheader = "X"\nrole = "view"', "proxy.trusted", "a list", "an address"),
        ('[proxy]\ntrusted = ["x"]', "proxy.trusted[0]", "'x'", "a network"),
        ('[proxy]\ntrusted = ["10.0.0.1/8"]', "proxy.trusted[0]", "'10.0.0.1/8'", "host bits"),
        ('[proxy]\nheader = "X"\ntrusted = ["unix"]', "proxy.role", "''", "role_header"),
        ("targets = 3", "targets", "3", "a table"),
        ('[targets."a/b"]\nurl = "cxd"', 'targets."a/b"', "expected a name", "letters"),
        ('[targets.a]\nmask = "no"', "targets.a.url", "is missing", ""),
        ('[targets.a]\nurl = "ftp://h/"', "targets.a.url", "'ftp://h/' is not", "sftp://"),
        ('[targets.a]\nurl = "https://h/x"', "targets.a.url", "expected a /", "at the end"),
        ('[targets.a]\nurl = "https://h/?k=Secret"', "targets.a.url", "has a query", "none"),
        ('[targets.a]\nurl = "https://u:Secret@h/"', "targets.a.url", "the destination has", ""),
        (
            '[targets.a]\nurl = "sftp://h/"\ntoken_file = "/a"',
            "targets.a.token_file",
            "is only for cxd",
            "",
        ),
        (
            '[targets.a]\nurl = "cxd"\nencrypt_to = "a"\nencrypt_with_password = true',
            "targets.a.encrypt_with_password",
            "expected either",
            "encrypt_to",
        ),
        (
            '[proxy]\nheader = "X"\ntrusted = ["unix"]\nrole = "view"\nrole_header = "Y"',
            "proxy.role",
            "'view'",
            "either role or role_header",
        ),
        (
            '[proxy]\nheader = "X"\ntrusted = ["unix"]\nrole_header = "x"',
            "proxy.role_header",
            "'x'",
            "another header",
        ),
    ],
)
def test_error_has_key_and_expectation(text: str, key: str, value: str, expected: str) -> None:
    found, reason = problem(text)
    assert (found, reason.startswith(value)) == (key, True)
    assert expected in reason.partition("expected ")[2]
    assert "Secret" not in reason


@pytest.mark.parametrize(
    ("text", "key", "close"),
    [("host = 1", "host", "hosts"), ("[limits]\nstream = 1", "limits.stream", "streams")],
)
def test_unknown_key_names_similar_one(text: str, key: str, close: str) -> None:
    found, reason = problem(text)
    assert (found, repr(close) in reason) == (key, True)


def test_without_a_file_the_defaults_count() -> None:
    config = load(None, {"XDG_RUNTIME_DIR": "/run"}, 999)
    assert config == WebConfig(socket="/run/cucmd/cucmd.sock")
    assert parse_listen(config.listen) == Path("/run/cucmweb/http.sock")


def test_page_shows_the_defaults() -> None:
    ((_, text),) = FENCED.findall(web_configuration())
    assert read_config(parse("page", text.encode())) == WebConfig()


def test_page_shows_targets() -> None:
    config = read_config(parse("page", shown("toml", "[targets.vendor]").encode()))
    assert [target.mask for target in config.targets.values()] == ["yes", "always"]


def test_command_line_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "cucmweb.toml"
    file.write_text('socket = "/file"\nlisten = "unix:/file"')
    assert load(file, {}, 0).socket == "/file"
    assert load(file, {"CUCMD_SOCKET": "/environment"}, 0).socket == "/environment"
    given = load(file, {"CUCMD_SOCKET": "/environment"}, 0, socket="/given", listen="[::1]:80")
    assert (given.socket, given.listen) == ("/given", "[::1]:80")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/a", Path("/a")),
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_where_it_listens(text: str, address: object) -> None:
    assert parse_listen(text) == address


TCP = ("127.0.0.1", 8080)


def test_tcp_needs_authentication() -> None:
    with pytest.raises(ConfigError, match="cucmweb token add"):
        for_addresses(WebConfig(), [Path("/socket"), TCP], has_tokens=False)
    by_unix = ProxySettings("X-Remote-User", (UNIX,), "view")
    with pytest.raises(ConfigError):
        for_addresses(WebConfig(proxy=by_unix), [TCP], has_tokens=False)
    for_addresses(WebConfig(), [TCP], has_tokens=True)
    for_addresses(WebConfig(proxy=PROXY), [TCP], has_tokens=False)
    for_addresses(WebConfig(), [Path("/socket")], has_tokens=False)


@pytest.mark.parametrize("host", ["192.0.2.1", "::", "0.0.0.0", "fe80::1%eth0", "::ffff:10.0.0.1"])
def test_other_machines_need_a_trusted_network(host: str) -> None:
    config = WebConfig(hosts=("web",), proxy=PROXY)
    with pytest.raises(ConfigError, match="--trusted-network"):
        for_addresses(config, [TCP, (host, 80)], has_tokens=True)
    for_addresses(config, [TCP, (host, 80)], has_tokens=True, trusts_network=True)
    for_addresses(config, [TCP, ("::1", 80), ("127.0.0.9", 80)], has_tokens=True)


def test_all_addresses_need_hosts() -> None:
    trusts = {"has_tokens": True, "trusts_network": True}
    with pytest.raises(ConfigError, match="hosts"):
        for_addresses(WebConfig(), [("::", 80)], **trusts)
    config = for_addresses(WebConfig(hosts=("Web",)), [("::", 80)], **trusts)
    assert accepts_host(config, "web:80")


@pytest.mark.parametrize(
    ("host", "accepted"),
    [
        ("localhost", True),
        ("LOCALHOST.:8080", True),
        ("192.0.2.1:8080", True),
        ("192.0.2.1:", True),
        ("web.example.org", True),
        ("192.0.2.2", False),
        ("[::1]:80", True),
        ("[::1]", True),
        ("example.org", False),
        ("localhost.example.org", False),
        ("localhost:80:80", False),
        ("", False),
        (":80", False),
    ],
)
def test_known_hosts_are_accepted(host: str, accepted: bool) -> None:
    own = WebConfig(hosts=("web.example.org",))
    config = for_addresses(own, [("192.0.2.1", 8080)], has_tokens=True, trusts_network=True)
    assert accepts_host(config, host) is accepted
