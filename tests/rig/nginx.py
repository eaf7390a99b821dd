"""Runs nginx in front of cucmweb, with the configuration and commands of cucmweb(8)."""

import base64
import http.client
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from cucmd.toml_file import parse
from cucmweb.config import WebConfig, read_config
from rig.pages import ROOT, fenced, indented
from rig.process import Child, die_with_parent

PAGE = ROOT / "ctl/man/cucmweb.8.md"
SERVER = "cucm-logs.example.org"
PASSWORD = "Proxy-Secret-1"
needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


def shown(kind: str, part: str) -> str:
    """Returns the block of the page that is of this kind and contains `part`."""
    (block,) = (text for name, text in fenced(PAGE) if name == kind and part in text)
    return block


def configuration() -> WebConfig:
    """Returns the configuration of cucmweb that the page shows."""
    return read_config(parse(str(PAGE), shown("toml", 'trusted = ["unix"]').encode()))


class Proxy:
    """Sends requests to nginx at a port of loopback."""

    def __init__(self, port: int, trusted: ssl.SSLContext) -> None:
        self.port = port
        self._trusted = trusted

    @contextmanager
    def asked(
        self, path: str, user: str = "", headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Yields the reply to a GET. If `user` is given, it is sent with the right password."""
        sent = {"Host": SERVER, **(headers or {})}
        if user:
            known = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
            sent["Authorization"] = f"Basic {known}"
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self._trusted, timeout=60
        )
        try:
            connection.request("GET", path, headers=sent)
            with connection.getresponse() as reply:
                yield reply
        finally:
            connection.close()


@contextmanager
def running_nginx(folder: Path, behind: Path, *, asks: bool = True) -> Iterator[Proxy]:
    """Runs nginx in front of a server at the Unix socket `behind`; olga and victor have passwords.

    If `asks` is false, nginx lets everybody in without a password, unlike on the page.
    """
    trusted = _prepare(folder)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        site = shown("nginx", "proxy_pass")
        for old, new in {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "/etc/nginx/": f"{folder}/",
            "/run/cucmweb/http.sock": str(behind),
            '"cucmweb"': '"cucmweb"' if asks else "off",
        }.items():
            assert old in site
            site = site.replace(old, new)
        file = folder / "nginx.conf"
        file.write_text(_FRAME.format(folder=folder, user=_user(), site=site))
        process = subprocess.Popen(
            ["nginx", "-c", str(file), "-e", "stderr"],
            # A running nginx passes its sockets to the next one by this variable. Here it keeps the
            # port from becoming free.
            env={**os.environ, "NGINX": f"{listener.fileno()};"},
            pass_fds=[listener.fileno()],
            preexec_fn=die_with_parent,
        )
        child = Child(process)
        try:
            yield Proxy(port, trusted)
        finally:
            child.stop()


_FRAME = """\
daemon off;
pid {folder}/nginx.pid;
{user}
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{site}
}}
"""


def _user() -> str:
    return "user root;" if os.geteuid() == 0 else ""


def _prepare(folder: Path) -> ssl.SSLContext:
    """Types the page's commands; returns the context of a client that trusts the certificate."""
    (commands,) = (block for block in indented(PAGE) if "openssl req" in block)
    for old, new in {
        "/etc/nginx/": f"{folder}/",
        "-g www-data ": "",
        "passwd -6": f"passwd -6 {PASSWORD}",  # it would ask at a terminal
    }.items():
        assert old in commands
        commands = commands.replace(old, new)
    subprocess.run(["sh", "-e", "-c", commands], check=True, capture_output=True)
    context = ssl.create_default_context(cafile=str(folder / "cucmweb.crt"))
    context.check_hostname = False  # the client connects to 127.0.0.1
    return context
