"""PURE. The node's command line: bytes in, events and answers out.

No clock, no I/O, no trio. The same bytes give the same events however they were split, and memory
stays bounded whatever a node sends. What is known of real nodes is in `vos/NODES.md`.

    cli.py           the state machine that a driver uses; read this first
    events.py        what it tells its driver
    states.py        its states; file_get.py is the longest of them
    stages.py        what a node has shown in a `file get`; sizes.py: what it announces
    answers.py       what its questions are answered; usual_lines.py: its lines that are none
    refusals.py      why it ended before a transfer
    questions.py     the questions that a node asks; prompt.py: when is `admin:` the prompt?
    screen.py        lines and the current segment, from the text that escapes.py gives
    commands.py      command lines, from words that arguments.py has checked
    window.py        the time window of a collection, as `file get` takes it
    status.py        what `show status` says
    cluster.py       what `show network cluster` and `show version active` say
    listing.py       what `file list ... detail` says
    forms.py         the commands that may be run, as one table
    capture.py       the commands of a packet capture
    parsed.py        which of their answers can be read: machine.py, services.py, ntp.py and
                     replication.py beside cluster.py; lines.py
    secrets.py       what must not be shown, and how it is masked
    transcript.py    both directions as lines for a person
    texts.py         what nodes print, word for word
"""

from cucmd.vos.arguments import COLUMNS, InvalidArgument, check_word
from cucmd.vos.capture import (
    CaptureCommand,
    capture_path,
    delete_line,
    is_file_of,
    without_options,
)
from cucmd.vos.cli import Cli, NotAtPrompt
from cucmd.vos.cluster import (
    ActiveVersion,
    ClusterTable,
    ListedNode,
    parse_network_cluster,
    parse_version_active,
)
from cucmd.vos.commands import FileGet, ReceiverAddress
from cucmd.vos.events import (
    Agreed,
    Asked,
    Broken,
    CommandDone,
    Declined,
    Event,
    FileGetDone,
    Moving,
    NothingMatched,
    Prompted,
    Send,
    Sized,
    Taken,
)
from cucmd.vos.forms import SNAPSHOT, Command, parse_command
from cucmd.vos.listing import ListedFile, parse_file_list
from cucmd.vos.machine import Disk, Machine, parse_machine
from cucmd.vos.parsed import parse_answer
from cucmd.vos.prompt import QUIET_QUESTION
from cucmd.vos.refusals import quoted, refused_in
from cucmd.vos.status import NodeStatus, parse_show_status
from cucmd.vos.texts import LOCATIONS, PAGER_OFF, SHOW_CLUSTER, SHOW_STATUS, SHOW_VERSION
from cucmd.vos.transcript import Transcript
from cucmd.vos.window import AbsTime, RelTime, Window, needs_zone, window_for

__all__ = [
    "COLUMNS",
    "LOCATIONS",
    "PAGER_OFF",
    "QUIET_QUESTION",
    "SHOW_CLUSTER",
    "SHOW_STATUS",
    "SHOW_VERSION",
    "SNAPSHOT",
    "AbsTime",
    "ActiveVersion",
    "Agreed",
    "Asked",
    "Broken",
    "CaptureCommand",
    "Cli",
    "ClusterTable",
    "Command",
    "CommandDone",
    "Declined",
    "Disk",
    "Event",
    "FileGet",
    "FileGetDone",
    "InvalidArgument",
    "ListedFile",
    "ListedNode",
    "Machine",
    "Moving",
    "NodeStatus",
    "NotAtPrompt",
    "NothingMatched",
    "Prompted",
    "ReceiverAddress",
    "RelTime",
    "Send",
    "Sized",
    "Taken",
    "Transcript",
    "Window",
    "capture_path",
    "check_word",
    "delete_line",
    "is_file_of",
    "needs_zone",
    "parse_answer",
    "parse_command",
    "parse_file_list",
    "parse_machine",
    "parse_network_cluster",
    "parse_show_status",
    "parse_version_active",
    "quoted",
    "refused_in",
    "window_for",
    "without_options",
]
