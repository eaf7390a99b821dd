"""Servers that take uploads: nginx with WebDAV, sshd, a proxy, and one that misbehaves."""

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from rig.process import Child, die_with_parent
from rig.quiet import wait_until

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
        (folder / name).mkdir(exist_ok=True)
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
    most      a connection is closed after so many bytes of a body
    came      is set when a whole request has come, or `most` bytes of it
    hold      is waited for then
    early     whether the answer is sent, and `hold` waited for, after 30 MB of a longer body
    endless   whether the answer is sent again and again
    no_tls    whether the answer is sent without encryption, which TLS takes for an attack
    """

    host: str

    def __init__(self, folder: Path) -> None:
        self.requests: list[str] = []
        self.most = 1 << 60
        self.came = threading.Event()
        self.no_tls = False
        self.early = False
        self.endless = False
        self.hold = threading.Event()
        self.hold.set()
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
            left = min(length, 30_000_000 if self.early else self.most)
            while left > 0 and (data := stream.recv(65536)):
                left -= len(data)
            self.came.set()
            if self.early:
                stream.sendall(self.answer(text))
            self.hold.wait(30)
            if self.no_tls:
                os.write(stream.fileno(), self.answer(text))
            elif length <= self.most and not self.early:
                stream.sendall(self.answer(text))
            while self.endless:  # ends with an error when the client closes the connection
                stream.sendall(self.answer(text))


@contextmanager
def running(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Listens at localhost, and yields host and port. Each connection has a thread."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(30)
                threads.append(threading.Thread(target=serve_one, args=(connection,)))
                threads[-1].start()

    def serve_one(connection: socket.socket) -> None:
        with connection:
            serve(connection)

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield f"localhost:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in threads:
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


@contextmanager
def running_sshd(folder: Path) -> Iterator[str]:
    """Runs sshd for the user of the test, and yields `user@host:port`.

    `folder/programs/sftp` is the system's `sftp` with the key and the known hosts for this server.
    """
    for name in ("host", "key"):
        new = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(new, check=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/key.pub\nStrictModes no\nPermitRootLogin yes\n"
        "PerSourcePenalties no\nSubsystem sftp internal-sftp\n"
    )
    known = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {known}")
    (folder / "ssh_config").write_text(
        f"UserKnownHostsFile {folder}/known_hosts\nIdentityFile {folder}/key\n"
    )
    record_program(folder, "sftp", f"-F {folder}/ssh_config")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "sshd.log").open("wb") as log:
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")]
        child = Child(subprocess.Popen(command, stderr=log, preexec_fn=die_with_parent))
    try:
        wait_until(lambda: "listening" in (folder / "sshd.log").read_text())
        user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True)
        yield f"{user.stdout.strip()}@127.0.0.1:{port}"
    finally:
        child.stop()


def record_program(folder: Path, name: str, options: str = "") -> Path:
    """Makes a program that notes its environment and arguments in `folder/NAME.said`, and then is
    the system's program of this name. Returns the folder of the new program.
    """
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    program = programs / name
    said = folder / f"{name}.said"
    program.write_text(
        f'#!/bin/sh\n{{ env; printf "%s\\n" "$@"; }} >>{said}\n'
        f'exec {shutil.which(name)} {options} "$@"\n'
    )
    program.chmod(0o755)
    return programs
