"""Host keys that are cheap to make: their format is valid, and no private key exists."""

import base64
from collections.abc import Callable

import pytest

from cucmd.ssh.known_line import PublicKey, parse_key


def blob(*parts: bytes) -> str:
    raw = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return base64.b64encode(raw).decode("ascii")


@pytest.fixture
def make_key() -> Callable[[int], PublicKey]:
    """`make_key(1)` is always the same key, and another than `make_key(2)`."""

    def make(number: int, algorithm: str = "ssh-ed25519") -> PublicKey:
        return parse_key(f"{algorithm} {blob(algorithm.encode(), bytes([number]) * 32)}")

    return make
