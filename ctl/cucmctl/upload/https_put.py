"""Sends a file by HTTPS PUT: certificates are checked, and proxies are those of the environment.

Only connecting is tried again. What comes later could be stored twice, and an attachment of a case
cannot be replaced. If the server gives no answer, `put` asks whether the server has the file.
Redirects are not followed, so no other server gets the file or the token.
"""

from __future__ import annotations

import hashlib
import signal
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import IO, NoReturn
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import (
    BaseHTTPResponse,
    HTTPResponse,
    HTTPSConnectionPool,
    PoolManager,
    ProxyManager,
    Retry,
    Timeout,
    make_headers,
)
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError, MaxRetryError, ProxyError, ReadTimeoutError
from urllib3.util import parse_url

from cucmctl.cli import exits
from cucmctl.text import render
from cucmctl.upload.destination import Https

# Seconds in which a connection must be made, or a piece of the file must be taken.
CONNECT = 60.0
# Seconds from the last byte to the answer. A server may first check or copy the whole file.
ANSWER = 600.0
# Seconds for the question whether the server has the file.
ASK = 10.0
# Bytes that are read and sent at a time.
_PIECE = 128 * 1024
_STORED = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)
_UNKNOWN = "it is not known whether the server has the file: look there before you try again"
_NO_LOGIN = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
# Tries to connect; later errors are never tried again, nor is an answer with Retry-After.
RETRIES = Retry(
    None,
    connect=2,
    read=0,
    redirect=0,
    status=0,
    other=0,
    backoff_factor=1,
    respect_retry_after_header=False,
)


def put(
    file: IO[bytes],
    size: int,
    to: Https,
    token: str | None,
    tell: Callable[[int], None],
    *,
    answer: float = ANSWER,
    ask: float = ASK,
    retries: Retry = RETRIES,
) -> str:
    """Sends `size` bytes of the file, and returns their SHA-256. Raises `Failed`.

    tell     is called with the number of bytes sent so far
    answer   how many seconds to wait for the answer
    ask      how many seconds a question may take afterwards
    retries  how to try again to connect
    """
    headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
    login = {}
    if to.user is not None:
        known = b64encode(f"{to.user}:{token or ''}".encode()).decode()
        login = {"Authorization": f"Basic {known}"}
    body = _Body(file, size, tell)
    try:
        pool = _pool(to.host, answer)
    except HTTPError:  # its text can have the password of the proxy
        text = "the proxy of the environment has no usable address; expected http://HOST:PORT"
        raise exits.Failed(text, exits.UNAVAILABLE) from None
    with pool:
        try:
            reply = pool.request(
                "PUT",
                to.address + to.query,
                body=body,
                headers=headers | login,
                retries=retries,
                redirect=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as error:
            reason = _reason(error)
            if not body.began:
                text = f"cannot reach {to.host}: {reason}; nothing was sent"
                raise exits.Failed(text, exits.UNAVAILABLE) from None
            there = _what_is_there(pool, to, login, ask)
            raise exits.Failed(_broken_off(body, to, reason, there)) from None
        except KeyboardInterrupt:
            there = _UNKNOWN if body.began else "nothing was sent"
            text = _broken_off(body, to, "interrupted", there)
            raise exits.Failed(text, exits.INTERRUPTED) from None
        reply.close()
        _check(reply, to)
        # urllib3 also returns an answer that came before the whole file was sent.
        if not body.ended:
            reason = f"the server answered {reply.status} before it had the file"
            there = _what_is_there(pool, to, login, ask)
            raise exits.Failed(_broken_off(body, to, reason, there))
    return body.digest.hexdigest()


class _Body:
    """Reads exactly `size` bytes, even if the file grows meanwhile, and computes their SHA-256."""

    def __init__(self, file: IO[bytes], size: int, tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell
        self.size = size
        self.began = False  # the head of the request was sent
        self.ended = False  # the connection has taken all bytes
        self.sent = 0
        self.digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        self.began = True
        while self.sent < self.size:
            data = self._file.read(min(_PIECE, self.size - self.sent))
            if not data:
                text = f"the file became shorter; only {self.sent} bytes of it were sent"
                raise exits.Failed(text)
            self.digest.update(data)
            self.sent += len(data)
            yield data
            self._tell(self.sent)
        self.ended = True


class _Connection(HTTPSConnection):
    """Waits for the whole answer no longer than `timeout`, which it must have, in seconds.

    The timeout of a socket begins anew with each byte, and a server can send `100 Continue`, which
    is no answer yet, for ever. An alarm is simple, but works only in the main thread.
    """

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
        def too_late(*_: object) -> NoReturn:
            raise TimeoutError

        assert self.timeout is not None
        signal.signal(signal.SIGALRM, too_late)
        signal.setitimer(signal.ITIMER_REAL, self.timeout)
        try:
            return super().getresponse()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


class _ConnectionPool(HTTPSConnectionPool):
    ConnectionCls = _Connection


def _pool(host: str, answer: float) -> PoolManager:
    proxies = getproxies()
    proxy = None if proxy_bypass(host) else proxies.get("https") or proxies.get("all")
    context = ssl.create_default_context()
    timeout = Timeout(connect=CONNECT, read=answer)
    if proxy is None:
        pool = PoolManager(ssl_context=context, timeout=timeout)
    else:
        login = parse_url(proxy).auth
        pool = ProxyManager(
            proxy,
            proxy_headers=make_headers(proxy_basic_auth=unquote(login)) if login else None,
            ssl_context=context,
            timeout=timeout,
        )
    pool.pool_classes_by_scheme = {"https": _ConnectionPool}
    return pool


def _reason(error: BaseException) -> str:
    """Returns the innermost reason as one short line, which never has the query of the address."""
    if isinstance(error, MaxRetryError) and error.reason is not None:
        error = error.reason
    via = "the proxy: " if isinstance(error, ProxyError) else ""
    while not isinstance(error, ReadTimeoutError):
        inner = error.__cause__ or (error.args[-1] if error.args else None)
        if not isinstance(inner, Exception):
            break
        error = inner
    if isinstance(error, ReadTimeoutError):
        return "the server took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{via}its certificate is not trusted: {error.verify_message}"
    return via + str(getattr(error, "strerror", None) or error)[:200]


def _broken_off(body: _Body, to: Https, reason: str, there: str) -> str:
    if body.sent < body.size:
        share = 100 * body.sent // body.size
        said = f"{render.progress(body.sent, body.size)} ({share}%) were sent, without an answer"
    else:
        said = f"all {render.size(body.size)} were sent, but the server did not confirm this"
    return f"the upload to {to.host} broke off: {reason}; {said}; {there}"


def _what_is_there(pool: PoolManager, to: Https, login: dict[str, str], ask: float) -> str:
    """Asks the server for the file, and returns what is known now."""
    try:
        reply = pool.request(
            "HEAD", to.address + to.query, headers=login, retries=False, redirect=False, timeout=ask
        )
    except (HTTPError, OSError, KeyboardInterrupt):
        return _UNKNOWN
    if reply.status == HTTPStatus.NOT_FOUND:
        return "the server says that it has no such file"
    if reply.status == HTTPStatus.OK and (size := reply.headers.get("Content-Length", "")):
        return f"the server says that it has this file, with {size[:20]} bytes"
    return _UNKNOWN


def _check(reply: BaseHTTPResponse, to: Https) -> None:
    """Raises `Failed` unless the answer says that the file is stored."""
    status = f"{reply.status} {(reply.reason or '')[:100]}".strip()
    if reply.status in ((HTTPStatus.CREATED,) if to.created else _STORED):
        return
    if reply.status in _NO_LOGIN:
        what = "are the case and its token right?" if to.created else "are name and token right?"
        what = what if to.user is not None else "a login may need https://USER@HOST"
        if to.query:
            what = "a presigned address must be complete and not expired, and be signed for PUT and"
            what += " for no other Content-Type than application/octet-stream"
        raise exits.Failed(f"{to.host} refused the login ({status}); {what}", exits.NOT_PERMITTED)
    if 300 <= reply.status < 400:
        other = urlsplit(reply.headers.get("Location", ""))
        where = f"{other.scheme}://{other.netloc.rpartition('@')[2]}{other.path}"[:200]
        raise exits.Failed(f"{to.host} answered {status}, to {where}; the file was not sent there")
    if 400 <= reply.status < 500:
        too_large = reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        why = "; the file is too large for the server" if too_large else ""
        raise exits.Failed(f"{to.host} refused the file ({status}){why}")
    expected = "201" if to.created else "200, 201 or 204"
    raise exits.Failed(f"{to.host} answered {status}; expected {expected}: look there for the file")
