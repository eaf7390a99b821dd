"""PURE. Declares the faults of simulated nodes: their kinds, their steps, and how they are written.

The code of a node asks for a fault at the moment when the fault would have its effect. Each time
that `FaultPlan.take` returns a fault, it counts as used once. So `*TIMES` ("fails twice, then
works") needs no code anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Self

import msgspec


class Step(StrEnum):
    """Lists the steps at which a node can hang, drop the connection or print noise, in order."""

    help: str

    def __new__(cls, value: str, help: str = "") -> Self:
        step = str.__new__(cls, value)
        step._value_, step.help = value, help
        return step

    ACCEPT = "accept", "TCP accepted, not a byte of SSH sent"
    LOGIN = "login", "the password has arrived, the answer to it is due"
    BANNER = "banner", "in the middle of the greeting"
    PROMPT = "prompt", "greeting complete, the first prompt is due"
    PREPARE = "prepare", "any command but file get, after its echo"
    COMMAND = "command", "file get, after its echo, before sizing"
    SIZING = "sizing", "in the middle of gathering files info"
    PROCEED = "proceed", "asked whether to proceed, the answer unread"
    ADDRESS = "address", "asked for the SFTP server IP"
    PORT = "port", "asked for the SFTP server port"
    USER = "user", "asked for the User ID"
    PASSWORD = "password", "asked for the Password"
    DIRECTORY = "directory", "asked for the Download directory"
    TRANSFER = "transfer", "half of the first file sent, SFTP still open"
    COMPLETED = "completed", "all files sent, 'Transfer completed.' is due"
    CAPTURE = "capture", "a packet capture has begun, and runs on"
    TAIL = "tail", "file tail has printed the last lines, and goes on"


QUESTIONS = frozenset(
    {Step.PROCEED, Step.ADDRESS, Step.PORT, Step.USER, Step.PASSWORD, Step.DIRECTORY}
)
# Steps at which a terminal exists, so that the node can print.
_PRINTING = frozenset(Step) - {Step.ACCEPT, Step.LOGIN}
_AFTER_LOGIN = _PRINTING - {Step.BANNER, Step.PROMPT}
_AFTER_COMMAND = _PRINTING - {Step.BANNER, Step.PROMPT, Step.PREPARE}


class Rule(msgspec.Struct, frozen=True):
    """Says how a fault of one kind is written on the command line, and describes it for `--help`.

    unit     the unit of its number, or empty if it takes no number
    number   the default of the number, or None if the user must give one
    steps    the steps at which it may happen, or empty if it takes no step
    step     the default of the step, or None if the user must give one
    counted  whether it takes `*TIMES`; otherwise it always happens
    """

    help: str
    unit: str = ""
    number: float | None = 0
    steps: frozenset[Step] = frozenset()
    step: Step | None = None
    counted: bool = True


_NO_RULE = Rule("")  # Enum calls __new__ without a rule when it looks up a kind by its value


class FaultKind(StrEnum):
    """Lists the kinds of faults; `rule` says how each is written."""

    rule: Rule

    def __new__(cls, value: str, rule: Rule = _NO_RULE) -> Self:
        kind = str.__new__(cls, value)
        kind._value_, kind.rule = value, rule
        return kind

    REFUSE_TCP = "refuse-tcp", Rule("TCP connections are refused", counted=False)
    DROP_SYN = "drop-syn", Rule("no answer to a SYN: the accept queue is full", counted=False)
    CLOSE_AFTER_ACCEPT = "close-after-accept", Rule("TCP is accepted and closed at once")
    NOT_SSH = "not-ssh", Rule("garbage in place of SSH's identification")
    KEX = "kex", Rule("only a key exchange that clients do not offer")
    KEY_CHANGED = "key-changed", Rule("shows another host key after the first time")
    REFUSE_LOGIN = "refuse-login", Rule("the right password is refused")
    LOCKOUT = "lockout", Rule("no login works after N refused ones (3)", "N", 3)
    ENDLESS_BANNER = "endless-banner", Rule("the greeting never ends")
    NO_PROMPT = "no-prompt", Rule("the greeting, then never a prompt")
    LOGIN_QUESTION = "login-question", Rule("the greeting, then a question for a password")
    PROMPT_NO_ECHO = "prompt-no-echo", Rule("a prompt, then neither echo nor answer")
    NO_ECHO = "no-echo", Rule("commands work, but nothing typed is echoed")
    IGNORE_CTRL_C = "ignore-ctrl-c", Rule("Ctrl-C is ignored; *1: only the first one is")
    SILENT = "silent", Rule("silence, until Ctrl-C brings the prompt back", steps=_AFTER_LOGIN)
    HANG = "hang", Rule("silence for ever, even after Ctrl-C", steps=frozenset(Step))
    DROP = "drop", Rule("the connection is cut without a disconnect", steps=frozenset(Step))
    GARBAGE = (
        "garbage",
        Rule("noise (4096 bytes; 0: endless), then silence", "BYTES", 4096, steps=_PRINTING),
    )
    ENDLESS_LINE = (
        "endless-line",
        Rule("one line of text without end", steps=_PRINTING, step=Step.COMMAND),
    )
    ESCAPE_STORM = (
        "escape-storm",
        Rule("terminal escapes without end", steps=_PRINTING, step=Step.COMMAND),
    )
    PROMPT_STORM = "prompt-storm", Rule("prompts without end", steps=_PRINTING, step=Step.PREPARE)
    ENDLESS_LIST = "endless-list", Rule("the files of file list and file get never end")
    SILENT_RETURN = (
        "silent-return",
        Rule("back to the prompt without a text", steps=_AFTER_COMMAND, step=Step.DIRECTORY),
    )
    REASK = "reask", Rule("no answer to QUESTION is accepted", steps=QUESTIONS)
    OMIT = "omit", Rule("QUESTION is not asked", steps=frozenset({Step.PROCEED, Step.DIRECTORY}))
    REORDER = "reorder", Rule("asks about the receiver in another order")
    REFUSE_COMMAND = "refuse-command", Rule("file get is refused in words of its own")
    SIZES_TWICE = "sizes-twice", Rule("the sizes are announced twice")
    COMPLETED_EARLY = "completed-early", Rule("says 'Transfer completed' before it sends")
    COMPLETED_ONLY = "completed-only", Rule("says 'Transfer completed' and sends nothing")
    NO_FILES = "no-files", Rule("no file matches")
    INVALID_PATH = "invalid-path", Rule("no path exists")
    BIG_FILE = "big-file", Rule("the first file has BYTES (5000000000)", "BYTES", 5_000_000_000)
    ZERO_BYTE = "zero-byte", Rule("every file is empty")
    DUPLICATE_NAMES = "duplicate-names", Rule("the first file is announced and sent twice")
    ANNOUNCE_MORE = "announce-more", Rule("N files (1) announced that are not sent", "N", 1)
    ANNOUNCE_FEWER = "announce-fewer", Rule("N files (1) sent that were not announced", "N", 1)
    INVALID_DIRECTORY = "invalid-directory", Rule("no Download directory is valid")
    UNREACHABLE = "unreachable", Rule("the node cannot reach the receiver: silence")
    SLOW_GREETING = "slow-greeting", Rule("hangs up on the receiver after S (5)", "S", 5)
    UPLOAD_WRONG_PASSWORD = (
        "upload-wrong-password",
        Rule("logs in to the receiver with a wrong password"),
    )
    UPLOAD_CUT = "upload-cut", Rule("SFTP cut after BYTES (half of a file)", "BYTES")
    UPLOAD_STALLED = "upload-stalled", Rule("SFTP stops after BYTES, stays open", "BYTES")
    UPLOAD_SHORT = "upload-short", Rule("the first file lacks its last BYTES (1)", "BYTES", 1)
    ARCHIVE_CUT = "archive-cut", Rule("an archive lacks its last BYTES (1)", "BYTES", 1)
    TRICKLE = "trickle", Rule("the upload runs at this rate", "BYTES_PER_S", None)
    CLOCK_AHEAD = "clock-ahead", Rule("each push sets the clock S (3600) forward", "S", 3600)
    CLOCK_BACK = "clock-back", Rule("each push sets the clock S (3600) back", "S", 3600)
    OTHER_TABLE = "other-table", Rule("show network cluster prints another table")
    STRANGERS = "strangers", Rule("show network cluster adds N (1) machines", "N", 1)
    PAGER_AGAIN = "pager-again", Rule("a pager in the middle of an answer, though off")
    QUESTION = "question", Rule("a question in the middle of an answer")
    SILENT_ANSWER = "silent-answer", Rule("silence in the middle of an answer")
    SERVICE_STOPPED = "service-stopped", Rule("an activated service is stopped", counted=False)
    NOT_REPLICATED = (
        "not-replicated",
        Rule("no server is in replication state (2)", counted=False),
    )
    NO_TIME = "no-time", Rule("it follows no time server", counted=False)
    FAR_FROM_TIME = "far-from-time", Rule("it follows a server at stratum 9", counted=False)
    OTHER_VERSION = "other-version", Rule("an older version is active", counted=False)
    CERTIFICATE_ENDED = "certificate-ended", Rule("its certificates have expired", counted=False)
    BACKUP_FAILED = "backup-failed", Rule("no backup has succeeded", counted=False)
    CORE_FILE = "core-file", Rule("a process has crashed just now", counted=False)
    BUSY = "busy", Rule("a process uses 98 % of a processor", counted=False)
    UNKNOWN_TO_OTHERS = (
        "unknown-to-others",
        Rule("show network cluster: no other authenticated", counted=False),
    )
    LOW_SPACE = (
        "low-space",
        Rule("log partition used; above 85 no capture (92)", "PERCENT", 92, counted=False),
    )
    CAPTURE_REFUSED = "capture-refused", Rule("a capture is refused for lack of space")
    CAPTURE_ENDS = "capture-ends", Rule("a capture ends by itself after S (1)", "S", 1)
    CAPTURE_QUESTION = "capture-question", Rule("a question in a capture after S (1)", "S", 1)
    CAPTURE_SLOW = "capture-slow", Rule("a capture ends S (8) after Ctrl-C", "S", 8)
    CAPTURE_ENTER = "capture-enter", Rule("the prompt after a capture waits for Enter")
    CAPTURE_NO_FILE = "capture-no-file", Rule("a capture makes no file")
    CAPTURE_HEADER = "capture-header", Rule("the file of a capture has no packet")
    CAPTURE_GARBAGE = "capture-garbage", Rule("the file of a capture is noise")
    CAPTURE_CUT = "capture-cut", Rule("the file of a capture lacks its last bytes")
    TAIL_REFUSED = "tail-refused", Rule("file tail needs another privilege level")
    KEEP_FILES = "keep-files", Rule("file delete deletes nothing")


# The largest number in each unit. Larger ones would exceed the dates of Python, or the memory.
_LARGEST_NUMBERS = {"PERCENT": 100, "S": 10**9, "N": 10**4, "BYTES": 10**15, "BYTES_PER_S": 10**15}


class Fault(msgspec.Struct, frozen=True):
    """Describes one fault.

    number  in the unit of its kind
    node    the number of the node, from 1, or None for every node
    times   how often it happens, or None for always
    """

    kind: FaultKind
    step: Step | None = None
    number: float = 0
    node: int | None = None
    times: int | None = None


class FaultSpecError(ValueError):
    """Raised if a fault is not written as expected. Its text has the SPEC and what was expected."""

    def __init__(self, spec: str, expected: str) -> None:
        super().__init__(f"fault {spec!r}: expected {expected}")


_SPEC = re.compile(
    r"(?:(?P<node>\d+)=)?(?P<kind>[a-z-]+)(?::(?P<step>[a-z]+))?"
    r"(?:@(?P<number>\d+(?:\.\d+)?))?(?:\*(?P<times>\d+))?"
)
_FORM = "[NODE=]KIND[:STEP][@NUMBER][*TIMES], such as hang:command or 2=drop:transfer"


def parse_fault(spec: str) -> Fault:
    """Reads a fault that was given as SPEC. Raises FaultSpecError."""
    found = _SPEC.fullmatch(spec)
    if found is None:
        raise FaultSpecError(spec, _FORM)
    if found["kind"] not in list(FaultKind):
        raise FaultSpecError(spec, f"a kind: {', '.join(FaultKind)}")
    kind = FaultKind(found["kind"])
    return Fault(
        kind=kind,
        step=_step(spec, kind, found["step"]),
        number=_number(spec, kind, found["number"]),
        node=_positive(spec, "a node's number from 1", found["node"]),
        times=_times(spec, kind, found["times"]),
    )


def _step(spec: str, kind: FaultKind, text: str | None) -> Step | None:
    rule = kind.rule
    allowed = [step for step in Step if step in rule.steps]
    if text is None:
        if rule.steps and rule.step is None:
            raise FaultSpecError(spec, f"{kind}:STEP with STEP one of {', '.join(allowed)}")
        return rule.step
    if not allowed:
        raise FaultSpecError(spec, f"{kind} without a step")
    if text not in allowed:
        raise FaultSpecError(spec, f"a step of {kind}: {', '.join(allowed)}")
    return Step(text)


def _number(spec: str, kind: FaultKind, text: str | None) -> float:
    rule = kind.rule
    if text is None:
        if rule.number is None:
            raise FaultSpecError(spec, f"{kind}@{rule.unit}")
        return rule.number
    if not rule.unit:
        raise FaultSpecError(spec, f"{kind} without a number")
    if rule.number is None and float(text) == 0:
        raise FaultSpecError(spec, f"{kind}@{rule.unit} greater than 0")
    if float(text) > _LARGEST_NUMBERS[rule.unit]:
        raise FaultSpecError(spec, f"a number of {rule.unit} up to {_LARGEST_NUMBERS[rule.unit]}")
    return float(text)


def _times(spec: str, kind: FaultKind, text: str | None) -> int | None:
    if text is not None and not kind.rule.counted:
        raise FaultSpecError(spec, f"{kind} without *TIMES: it always happens")
    return _positive(spec, "*TIMES from 1", text)


def _positive(spec: str, what: str, text: str | None) -> int | None:
    if text is None:
        return None
    if int(text) < 1:
        raise FaultSpecError(spec, what)
    return int(text)


class FaultPlan:
    """Holds the faults of node number `index` (from 1), and how often each may still happen.

    `on_use` is called whenever a fault happens.
    """

    def __init__(
        self, faults: Iterable[Fault], index: int, on_use: Callable[[], None] = lambda: None
    ) -> None:
        self._on_use = on_use
        mine = [fault for fault in faults if fault.node in (None, index)]
        self._left: list[tuple[Fault, list[int | None]]] = [(f, [f.times]) for f in mine]

    def take(self, kind: FaultKind, step: Step | None = None) -> Fault | None:
        """Returns the fault of that kind and step if it happens now, else None. Counts its use."""
        for fault, left in self._left:
            if fault.kind is kind and fault.step == step and left[0] != 0:
                if left[0] is not None:
                    left[0] -= 1
                self._on_use()
                return fault
        return None


def help_lines() -> list[str]:
    """Returns a line for each kind and for each step, each at most 80 columns wide."""
    kinds = [f"  {_format_kind(kind):<30} {kind.rule.help}" for kind in FaultKind]
    steps = [f"  {step:<12} {step.help}" for step in Step]
    return ["faults:", *kinds, "", "steps:", *steps]


def _format_kind(kind: FaultKind) -> str:
    rule = kind.rule
    step = ""
    if rule.steps:
        name = "QUESTION" if rule.steps <= QUESTIONS else "STEP"
        step = f":{name}" if rule.step is None else f"[:{name}]"
    number = ""
    if rule.unit:
        number = f"@{rule.unit}" if rule.number is None else f"[@{rule.unit}]"
    return f"{kind}{step}{number}"
