"""PURE. Declares the codes of failures, and makes failures with the advice for their code.

Every failure of a node has one of these codes. cucmd-failures(7) is made from this table.
"""

from __future__ import annotations

import errno
from enum import StrEnum

import msgspec

from cucmd.job.failure import Failure


class CannotStart(Exception):
    """The process cannot do what it was started for. `str()` is one line for a person."""


class Code(StrEnum):
    """Lists the codes. The socket shows them and the database stores them, so never rename one."""

    CONNECT_TIMEOUT = "connect_timeout"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_LOST = "connection_lost"
    HOST_UNREACHABLE = "host_unreachable"
    HOST_KEY_CHANGED = "host_key_changed"
    HOST_KEY_UNKNOWN = "host_key_unknown"
    AUTH_FAILED = "auth_failed"
    NO_COMMON_ALGORITHM = "no_common_algorithm"
    NOT_A_NODE = "not_a_node"
    LOGIN_QUESTION = "login_question"
    LOGIN_TIMEOUT = "login_timeout"
    COMMAND_TIMEOUT = "command_timeout"
    NODE_TIMEOUT = "node_timeout"
    JOB_TIMEOUT = "job_timeout"
    STALLED = "stalled"
    NO_FILES_MATCHED = "no_files_matched"
    INVALID_PATH = "invalid_path"
    COMMAND_REFUSED = "command_refused"
    RECEIVER_REJECTED = "receiver_rejected"
    RECEIVER_UNREACHABLE = "receiver_unreachable"
    RECEIVER_LOST = "receiver_lost"
    TRANSFER_INCOMPLETE = "transfer_incomplete"
    DISK_FULL = "disk_full"
    QUOTA_EXCEEDED = "quota_exceeded"
    INTERRUPTED = "interrupted"
    INTERNAL = "internal"


# code -> (whether a retry can succeed with nothing changed, what a person can do about it)
_ADVICE: dict[str, tuple[bool, str]] = {
    Code.CONNECT_TIMEOUT: (True, "check the address, the firewall and that the node is up"),
    Code.CONNECTION_REFUSED: (True, "check that SSH runs on the node: utils service list"),
    Code.CONNECTION_LOST: (True, "the node or the network closed the connection; try again"),
    Code.HOST_UNREACHABLE: (True, "check the name, the address and the route to the node"),
    Code.HOST_KEY_CHANGED: (
        False,
        "if the node was reinstalled, forget its old key: cucmctl hostkeys forget NODE",
    ),
    Code.HOST_KEY_UNKNOWN: (False, "add the node's key first: cucmctl hostkeys add NODE"),
    Code.AUTH_FAILED: (False, "check user name and password of the platform administrator"),
    Code.NO_COMMON_ALGORITHM: (False, "for an old release set ssh.legacy_algorithms = true"),
    Code.NOT_A_NODE: (False, "no CUCM prompt appeared there; check the address and the account"),
    Code.LOGIN_QUESTION: (
        False,
        "log in to the node by hand and answer it; an expired password can be replaced there",
    ),
    Code.LOGIN_TIMEOUT: (True, "a busy node's banner can take minutes; raise --login-timeout"),
    Code.COMMAND_TIMEOUT: (True, "narrow the window or the paths, or raise --command-timeout"),
    Code.NODE_TIMEOUT: (True, "narrow the window or the paths, or raise --node-timeout"),
    Code.JOB_TIMEOUT: (True, "raise --job-timeout, or start the job with fewer nodes"),
    Code.STALLED: (True, "the transfer stopped moving; check the network between node and daemon"),
    Code.NO_FILES_MATCHED: (False, "widen the window, or check the paths and --match"),
    Code.INVALID_PATH: (False, "check the path on the node with file list"),
    Code.COMMAND_REFUSED: (
        True,
        "the transcript shows the node's answer; try the command in the node's own shell",
    ),
    Code.RECEIVER_REJECTED: (True, "the transcript shows which answer the node did not accept"),
    Code.RECEIVER_UNREACHABLE: (
        True,
        "let the node reach the receiver's port, or set receiver.advertise",
    ),
    Code.RECEIVER_LOST: (True, "the process that received the files has ended; collect again"),
    Code.TRANSFER_INCOMPLETE: (
        True,
        "files may have rotated meanwhile: collect again; what came is kept, but marked incomplete",
    ),
    Code.DISK_FULL: (
        True,
        "free space below the state directory, "
        "or lower limits.free_space_percent and limits.free_space_bytes",
    ),
    Code.QUOTA_EXCEEDED: (
        False,
        "narrow the window, or raise limits.node_bytes or limits.job_bytes",
    ),
    Code.INTERRUPTED: (True, "the daemon was stopped during the job; try again"),
    Code.INTERNAL: (True, "a defect of cucmd; the daemon's log has the details"),
}


# Errors of a full disk, a used-up disk quota, and a file of the largest size that is allowed.
FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def failure(code: str, message: str, *, hint: str | None = None) -> Failure:
    """Returns a failure with the advice for its code. `hint` replaces the advice."""
    retryable, advice = _ADVICE[code]
    return Failure(code, message, retryable, hint or advice)


def name_node_in_hint(failure: Failure, node: str) -> Failure:
    """Returns the failure with the node's name in place of NODE at the end of its hint."""
    if failure.hint is None or not failure.hint.endswith(" NODE"):
        return failure
    return msgspec.structs.replace(failure, hint=failure.hint.removesuffix("NODE") + node)


def timeout_failure(code: str, seconds: float, what: str, *, hint: str | None = None) -> Failure:
    """Returns the failure of an operation that took longer than `seconds`.

    `what` follows "Timed out after 600s" in the message. Other programs match the form of the
    message, `TimeoutError: Timed out after 600s` (tests/system/test_be020.py, row 13).
    """
    return failure(code, f"TimeoutError: Timed out after {seconds:g}s {what}".rstrip(), hint=hint)


class NodeFailed(Exception):
    """Ends the work on a node. The node's record shows `failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.message}")
        self.failure = failure


def fail(code: Code, message: str, *, hint: str | None = None) -> NodeFailed:
    """Returns the exception to raise: `raise fail(Code.X, "...")`."""
    return NodeFailed(failure(code, message, hint=hint))
