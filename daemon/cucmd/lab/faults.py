"""PURE. What can go wrong with a simulated node: kinds, steps, and the words for them.

A fault is looked up at the moment when it would have its effect. A look-up that finds one uses it
up once (`*TIMES`), so that "fails twice, then works" needs no code elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec


class Step(StrEnum):
    """Where a node can hang, drop the connection or print noise, in their order."""

    ACCEPT = "accept"
    LOGIN = "login"
    BANNER = "banner"
    PROMPT = "prompt"
    PREPARE = "prepare"
    COMMAND = "command"
    SIZING = "sizing"
    PROCEED = "proceed"
    ADDRESS = "address"
    PORT = "port"
    USER = "user"
    PASSWORD = "password"  # noqa: S105 - the name of a question, not a secret
    DIRECTORY = "directory"
    TRANSFER = "transfer"
    COMPLETED = "completed"
    CAPTURE = "capture"


STEP_HELP: dict[Step, str] = {
    Step.ACCEPT: "TCP accepted, not a byte of SSH sent",
    Step.LOGIN: "the password has arrived, the answer to it is due",
    Step.BANNER: "in the middle of the greeting",
    Step.PROMPT: "greeting complete, the first prompt is due",
    Step.PREPARE: "any command but file get, after its echo",
    Step.COMMAND: "file get, after its echo, before sizing",
    Step.SIZING: "in the middle of gathering files info",
    Step.PROCEED: "asked whether to proceed, the answer unread",
    Step.ADDRESS: "asked for the SFTP server IP",
    Step.PORT: "asked for the SFTP server port",
    Step.USER: "asked for the User ID",
    Step.PASSWORD: "asked for the Password",
    Step.DIRECTORY: "asked for the Download directory",
    Step.TRANSFER: "half of the first file sent, SFTP still open",
    Step.COMPLETED: "all files sent, 'Transfer completed.' is due",
    Step.CAPTURE: "a packet capture has begun, and runs on",
}

QUESTIONS = frozenset(
    {Step.PROCEED, Step.ADDRESS, Step.PORT, Step.USER, Step.PASSWORD, Step.DIRECTORY}
)
# Steps at which a terminal exists, so that the node can print.
_PRINTING = frozenset(Step) - {Step.ACCEPT, Step.LOGIN}
_AFTER_LOGIN = _PRINTING - {Step.BANNER, Step.PROMPT}
_AFTER_COMMAND = _PRINTING - {Step.BANNER, Step.PROMPT, Step.PREPARE}


class Kind(StrEnum):
    REFUSE_TCP = "refuse-tcp"
    DROP_SYN = "drop-syn"
    CLOSE_AFTER_ACCEPT = "close-after-accept"
    NOT_SSH = "not-ssh"
    KEX = "kex"
    KEY_CHANGED = "key-changed"
    REFUSE_LOGIN = "refuse-login"
    LOCKOUT = "lockout"
    ENDLESS_BANNER = "endless-banner"
    NO_PROMPT = "no-prompt"
    LOGIN_QUESTION = "login-question"
    PROMPT_NO_ECHO = "prompt-no-echo"
    NO_ECHO = "no-echo"
    IGNORE_CTRL_C = "ignore-ctrl-c"
    SILENT = "silent"
    HANG = "hang"
    DROP = "drop"
    GARBAGE = "garbage"
    ENDLESS_LINE = "endless-line"
    ESCAPE_STORM = "escape-storm"
    PROMPT_STORM = "prompt-storm"
    ENDLESS_LIST = "endless-list"
    SILENT_RETURN = "silent-return"
    REASK = "reask"
    OMIT = "omit"
    REORDER = "reorder"
    REFUSE_COMMAND = "refuse-command"
    SIZES_TWICE = "sizes-twice"
    COMPLETED_EARLY = "completed-early"
    COMPLETED_ONLY = "completed-only"
    NO_FILES = "no-files"
    INVALID_PATH = "invalid-path"
    BIG_FILE = "big-file"
    ZERO_BYTE = "zero-byte"
    DUPLICATE_NAMES = "duplicate-names"
    ANNOUNCE_MORE = "announce-more"
    ANNOUNCE_FEWER = "announce-fewer"
    INVALID_DIRECTORY = "invalid-directory"
    UNREACHABLE = "unreachable"
    SLOW_GREETING = "slow-greeting"
    UPLOAD_WRONG_PASSWORD = "upload-wrong-password"  # noqa: S105 - the name of a fault
    UPLOAD_CUT = "upload-cut"
    UPLOAD_STALLED = "upload-stalled"
    UPLOAD_SHORT = "upload-short"
    ARCHIVE_CUT = "archive-cut"
    TRICKLE = "trickle"
    CLOCK_AHEAD = "clock-ahead"
    CLOCK_BACK = "clock-back"
    OTHER_TABLE = "other-table"
    STRANGERS = "strangers"
    PAGER_AGAIN = "pager-again"
    QUESTION = "question"
    SILENT_ANSWER = "silent-answer"
    LOW_SPACE = "low-space"
    CAPTURE_REFUSED = "capture-refused"
    CAPTURE_ENDS = "capture-ends"
    CAPTURE_QUESTION = "capture-question"
    CAPTURE_SLOW = "capture-slow"
    CAPTURE_ENTER = "capture-enter"
    CAPTURE_NO_FILE = "capture-no-file"
    CAPTURE_HEADER = "capture-header"
    CAPTURE_GARBAGE = "capture-garbage"
    CAPTURE_CUT = "capture-cut"
    KEEP_FILES = "keep-files"


class Rule(msgspec.Struct, frozen=True):
    """How a fault of one kind is written, and its line of help.

    steps    at which it may happen; empty: it takes no step
    step     the default of the step; None: one must be given
    unit     of its number; empty: it takes no number
    number   the default of the number; None: one must be given
    counted  False: it always happens, and takes no `*TIMES`
    """

    help: str
    steps: frozenset[Step] = frozenset()
    step: Step | None = None
    unit: str = ""
    number: float | None = 0
    counted: bool = True


RULES: dict[Kind, Rule] = {
    Kind.REFUSE_TCP: Rule("TCP connections are refused", counted=False),
    Kind.DROP_SYN: Rule("no answer to a SYN: the accept queue is full", counted=False),
    Kind.CLOSE_AFTER_ACCEPT: Rule("TCP is accepted and closed at once"),
    Kind.NOT_SSH: Rule("garbage in place of SSH's identification"),
    Kind.KEX: Rule("only a key exchange that clients do not offer"),
    Kind.KEY_CHANGED: Rule("another host key once the first was shown"),
    Kind.REFUSE_LOGIN: Rule("the right password is refused"),
    Kind.LOCKOUT: Rule("no login works after N refused ones (3)", unit="N", number=3),
    Kind.ENDLESS_BANNER: Rule("the greeting never ends"),
    Kind.NO_PROMPT: Rule("the greeting, then never a prompt"),
    Kind.LOGIN_QUESTION: Rule("the greeting, then a question for a password"),
    Kind.PROMPT_NO_ECHO: Rule("a prompt, then neither echo nor answer"),
    Kind.NO_ECHO: Rule("commands work, but nothing typed is echoed"),
    Kind.IGNORE_CTRL_C: Rule("Ctrl-C interrupts nothing; *1: only the second"),
    Kind.SILENT: Rule("silence, until Ctrl-C brings the prompt back", _AFTER_LOGIN),
    Kind.HANG: Rule("silence for ever, even after Ctrl-C", frozenset(Step)),
    Kind.DROP: Rule("the connection is cut without a disconnect", frozenset(Step)),
    Kind.GARBAGE: Rule(
        "noise (4096 bytes; 0: endless), then silence", _PRINTING, unit="BYTES", number=4096
    ),
    Kind.ENDLESS_LINE: Rule("one line of text without end", _PRINTING, step=Step.COMMAND),
    Kind.ESCAPE_STORM: Rule("terminal escapes without end", _PRINTING, step=Step.COMMAND),
    Kind.PROMPT_STORM: Rule("prompts without end", _PRINTING, step=Step.PREPARE),
    Kind.ENDLESS_LIST: Rule("the files of file list and file get never end"),
    Kind.SILENT_RETURN: Rule(
        "back to the prompt without a text", _AFTER_COMMAND, step=Step.DIRECTORY
    ),
    Kind.REASK: Rule("no answer to QUESTION is accepted", QUESTIONS),
    Kind.OMIT: Rule("QUESTION is not asked", frozenset({Step.PROCEED, Step.DIRECTORY})),
    Kind.REORDER: Rule("asks about the receiver in another order"),
    Kind.REFUSE_COMMAND: Rule("file get is refused in words of its own"),
    Kind.SIZES_TWICE: Rule("the sizes are announced twice"),
    Kind.COMPLETED_EARLY: Rule("says 'Transfer completed' before it sends"),
    Kind.COMPLETED_ONLY: Rule("says 'Transfer completed' and sends nothing"),
    Kind.NO_FILES: Rule("no file matches"),
    Kind.INVALID_PATH: Rule("no path is there"),
    Kind.BIG_FILE: Rule(
        "the first file has BYTES (5000000000)", unit="BYTES", number=5_000_000_000
    ),
    Kind.ZERO_BYTE: Rule("every file is empty"),
    Kind.DUPLICATE_NAMES: Rule("the first file is announced and sent twice"),
    Kind.ANNOUNCE_MORE: Rule("N files (1) announced that are not sent", unit="N", number=1),
    Kind.ANNOUNCE_FEWER: Rule("N files (1) sent that were not announced", unit="N", number=1),
    Kind.INVALID_DIRECTORY: Rule("no Download directory is valid"),
    Kind.UNREACHABLE: Rule("the node cannot reach the receiver: silence"),
    Kind.SLOW_GREETING: Rule("hangs up on the receiver after S (5)", unit="S", number=5),
    Kind.UPLOAD_WRONG_PASSWORD: Rule("logs in to the receiver with a wrong password"),
    Kind.UPLOAD_CUT: Rule("SFTP cut after BYTES (half of a file)", unit="BYTES"),
    Kind.UPLOAD_STALLED: Rule("SFTP stops after BYTES, stays open", unit="BYTES"),
    Kind.UPLOAD_SHORT: Rule("the first file lacks its last BYTES (1)", unit="BYTES", number=1),
    Kind.ARCHIVE_CUT: Rule("an archive lacks its last BYTES (1)", unit="BYTES", number=1),
    Kind.TRICKLE: Rule("the upload runs at this rate", unit="BYTES_PER_S", number=None),
    Kind.CLOCK_AHEAD: Rule("each push begins with a clock S (3600) on", unit="S", number=3600),
    Kind.CLOCK_BACK: Rule("each push begins with a clock S (3600) back", unit="S", number=3600),
    Kind.OTHER_TABLE: Rule("show network cluster prints another table"),
    Kind.PAGER_AGAIN: Rule("a pager in the middle of an answer, though off"),
    Kind.QUESTION: Rule("a question in the middle of an answer"),
    Kind.SILENT_ANSWER: Rule("silence in the middle of an answer"),
    Kind.STRANGERS: Rule("show network cluster names N (1) others too", unit="N", number=1),
    Kind.LOW_SPACE: Rule(
        "the log partition is so full (92); captures: 85", unit="PERCENT", number=92, counted=False
    ),
    Kind.CAPTURE_REFUSED: Rule("no space for a capture, whatever it shows"),
    Kind.CAPTURE_ENDS: Rule("a capture ends by itself after S (1)", unit="S", number=1),
    Kind.CAPTURE_QUESTION: Rule("a question in a capture after S (1)", unit="S", number=1),
    Kind.CAPTURE_SLOW: Rule("a capture ends S (8) after Ctrl-C", unit="S", number=8),
    Kind.CAPTURE_ENTER: Rule("the prompt after a capture waits for Enter"),
    Kind.CAPTURE_NO_FILE: Rule("a capture makes no file"),
    Kind.CAPTURE_HEADER: Rule("the file of a capture has no packet"),
    Kind.CAPTURE_GARBAGE: Rule("the file of a capture is noise"),
    Kind.CAPTURE_CUT: Rule("the file of a capture lacks its last bytes"),
    Kind.KEEP_FILES: Rule("file delete deletes nothing"),
}


# The largest number in each unit: more would exceed the dates of Python, or the memory.
_MOST = {"PERCENT": 100, "S": 10**9, "N": 10**4, "BYTES": 10**15, "BYTES_PER_S": 10**15}


class Fault(msgspec.Struct, frozen=True):
    """One fault. `node` None: every node. `times` None: always. `number`: in its kind's unit."""

    kind: Kind
    step: Step | None = None
    number: float = 0
    node: int | None = None
    times: int | None = None


class FaultSpecError(ValueError):
    """A SPEC that is not valid. The text has the SPEC and what was expected."""

    def __init__(self, spec: str, expected: str) -> None:
        super().__init__(f"fault {spec!r}: expected {expected}")


_SPEC = re.compile(
    r"(?:(?P<node>\d+)=)?(?P<kind>[a-z-]+)(?::(?P<step>[a-z]+))?"
    r"(?:@(?P<number>\d+(?:\.\d+)?))?(?:\*(?P<times>\d+))?"
)
_FORM = "[NODE=]KIND[:STEP][@NUMBER][*TIMES], such as hang:command or 2=drop:transfer"


def parse_fault(spec: str) -> Fault:
    """The fault that SPEC means. Raises FaultSpecError."""
    found = _SPEC.fullmatch(spec)
    if found is None:
        raise FaultSpecError(spec, _FORM)
    if found["kind"] not in list(Kind):
        raise FaultSpecError(spec, f"a kind: {', '.join(Kind)}")
    kind = Kind(found["kind"])
    return Fault(
        kind=kind,
        step=_step(spec, kind, found["step"]),
        number=_number(spec, kind, found["number"]),
        node=_positive(spec, "a node's number from 1", found["node"]),
        times=_times(spec, kind, found["times"]),
    )


def _step(spec: str, kind: Kind, text: str | None) -> Step | None:
    rule = RULES[kind]
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


def _number(spec: str, kind: Kind, text: str | None) -> float:
    rule = RULES[kind]
    if text is None:
        if rule.number is None:
            raise FaultSpecError(spec, f"{kind}@{rule.unit}")
        return rule.number
    if not rule.unit:
        raise FaultSpecError(spec, f"{kind} without a number")
    if rule.number is None and float(text) == 0:
        raise FaultSpecError(spec, f"{kind}@{rule.unit} greater than 0")
    if float(text) > _MOST[rule.unit]:
        raise FaultSpecError(spec, f"a number of {rule.unit} up to {_MOST[rule.unit]}")
    return float(text)


def _times(spec: str, kind: Kind, text: str | None) -> int | None:
    if text is not None and not RULES[kind].counted:
        raise FaultSpecError(spec, f"{kind} without *TIMES: it always happens")
    return _positive(spec, "*TIMES from 1", text)


def _positive(spec: str, what: str, text: str | None) -> int | None:
    if text is None:
        return None
    if int(text) < 1:
        raise FaultSpecError(spec, what)
    return int(text)


class FaultPlan:
    """The faults of one node (`index` from 1), and how often each may still happen.

    `on_use` is called whenever one happens.
    """

    def __init__(
        self, faults: Iterable[Fault], index: int, on_use: Callable[[], None] = lambda: None
    ) -> None:
        self._on_use = on_use
        mine = [fault for fault in faults if fault.node in (None, index)]
        self._left: list[tuple[Fault, list[int | None]]] = [(f, [f.times]) for f in mine]

    def take(self, kind: Kind, step: Step | None = None) -> Fault | None:
        """The fault of that kind (at that step) that happens now, or None. Uses it up once."""
        for fault, left in self._left:
            if fault.kind is kind and fault.step == step and left[0] != 0:
                if left[0] is not None:
                    left[0] -= 1
                self._on_use()
                return fault
        return None


def help_lines() -> list[str]:
    """One line for each kind and each step, at most 80 columns."""
    kinds = [f"  {_written(kind):<30} {RULES[kind].help}" for kind in Kind]
    steps = [f"  {step:<12} {STEP_HELP[step]}" for step in Step]
    return ["faults:", *kinds, "", "steps:", *steps]


def _written(kind: Kind) -> str:
    rule = RULES[kind]
    step = ""
    if rule.steps:
        name = "QUESTION" if rule.steps <= QUESTIONS else "STEP"
        step = f":{name}" if rule.step is None else f"[:{name}]"
    number = ""
    if rule.unit:
        number = f"@{rule.unit}" if rule.number is None else f"[@{rule.unit}]"
    return f"{kind}{step}{number}"
