"""Servers that take uploads: nginx with WebDAV, one that misbehaves, and a proxy with CONNECT."""

import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from rig.process import Child, die_with_parent

CASE = "698123456"
TOKEN = "Upload-Token-1"
MOST = 2_000_000  # bytes that nginx takes


def make_certificates(folder: Path) -> Path:
    """Makes `server.crt` and `server.key` for localhost. Returns the certificate of our own CA."""
    (folder / "names").write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
    )
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    for command in (
        f"{new} -x509 -days 2 -subj /CN=ours -keyout ca.key -out ca.crt"
        " -addext keyUsage=keyCertSign",
        f"{new} -subj /CN=localhost -keyout server.key -out server.csr",
        "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2"
        " -extfile names -out server.crt",
    ):
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder / "ca.crt"


@contextmanager
def running_webdav(folder: Path) -> Iterator[str]:
    """Runs nginx, and yields host and port. `home/` asks for the case and its token, `inbox/` for
    nothing; what is put there is below `folder`.
    """
    for name in ("home", "inbox", "body"):
        (folder / name).mkdir()
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", TOKEN], check=True, capture_output=True, text=True
    )
    (folder / "users").write_text(f"{CASE}:{hashed.stdout}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, user=user, port=port))
        process = subprocess.Popen(
            ["nginx", "-c", str(folder / "nginx.conf"), "-e", "stderr"],
            env={**os.environ, "NGINX": f"{listener.fileno()};"},  # see rig/nginx.py
            pass_fds=[listener.fileno()],
            preexec_fn=die_with_parent,
        )
        child = Child(process)
        try:
            yield f"localhost:{port}"
        finally:
            child.stop()


_NGINX = f"""\
daemon off;
pid {{folder}}/nginx.pid;
{{user}}
events {{{{}}}}
http {{{{
    access_log off;
    client_body_temp_path {{folder}}/body;
    proxy_temp_path {{folder}}/proxy;
    fastcgi_temp_path {{folder}}/fastcgi;
    uwsgi_temp_path {{folder}}/uwsgi;
    scgi_temp_path {{folder}}/scgi;
    client_max_body_size {MOST};
    server {{{{
        listen 127.0.0.1:{{port}} ssl;
        ssl_certificate {{folder}}/server.crt;
        ssl_certificate_key {{folder}}/server.key;
        root {{folder}};
        location /home/ {{{{
            auth_basic "case";
            auth_basic_user_file {{folder}}/users;
            dav_methods PUT;
        }}}}
        location /inbox/ {{{{ dav_methods PUT; }}}}
        location /500/ {{{{ return 500; }}}}
    }}}}
}}}}
"""


class OddServer:
    """Answers each request by `answer`, and closes the connection.

    requests  the head of each request
    sent      the bytes after the head that came, for each request
    """

    def __init__(self, folder: Path) -> None:
        self.requests: list[str] = []
        self.sent: list[int] = []
        self.most = 1 << 60  # closes the connection after so many bytes of a body
        self.answer: Callable[[str], bytes] = lambda head: b"HTTP/1.1 201 Created\r\n\r\n"
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.crt", folder / "server.key")

    def serve(self, connection: socket.socket) -> None:
        with suppress(OSError), self._context.wrap_socket(connection, server_side=True) as stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += stream.recv(1)
            text = head.decode()
            self.requests.append(text)
            length = int(text.lower().partition("content-length: ")[2].split("\r")[0] or 0)
            self.sent.append(0)
            while self.sent[-1] < min(length, self.most):
                self.sent[-1] += len(stream.recv(65536))
            if self.sent[-1] >= length:
                stream.sendall(self.answer(text))


@contextmanager
def running(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Listens at localhost, and yields host and port. Connections are served one after another."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(30)
                with connection:
                    serve(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"localhost:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(30)


class ConnectProxy:
    """A proxy. `requests` has the head of each request."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        self.requests.append(head.decode())
        host, _, port = head.decode().split()[1].rpartition(":")
        with closing(socket.create_connection((host, int(port)))) as other:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_copy, args=(other, connection))
            back.start()
            _copy(connection, other)
            back.join()


def _copy(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)
    with suppress(OSError):
        to.shutdown(socket.SHUT_WR)
