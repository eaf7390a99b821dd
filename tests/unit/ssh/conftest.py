"""Makes public host keys without private ones, which is quick, and hashed names."""

import base64
import hashlib
import hmac
from collections.abc import Callable

import pytest

from cucmd.ssh.known_line import PublicKey, parse_key


def blob(*parts: bytes) -> str:
    raw = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return base64.b64encode(raw).decode("ascii")


@pytest.fixture
def make_key() -> Callable[[int], PublicKey]:
    """Returns a function that makes the same key for the same number."""

    def make(number: int, algorithm: str = "ssh-ed25519") -> PublicKey:
        key = bytes([number]) * 32
        parts = (key,) if algorithm == "ssh-ed25519" else (b"\1\0\1", b"\1" + key * 8)
        return parse_key(f"{algorithm} {blob(algorithm.encode(), *parts)}")

    return make


@pytest.fixture
def hashed() -> Callable[[str], str]:
    """Returns a function that hashes a name like `ssh-keygen -H`."""

    def write(name: str) -> str:
        code = hmac.new(b"salt", name.encode(), hashlib.sha1).digest()
        return "|1|" + "|".join(base64.b64encode(part).decode() for part in (b"salt", code))

    return write
