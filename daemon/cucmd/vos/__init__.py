"""PURE. Speaks the node's command line: bytes go in, events and answers come out.

The package has no clock, no I/O and no trio. The same bytes give the same events however they are
split, and memory stays bounded whatever a node sends. `vos/NODES.md` collects the facts about real
nodes.

    cli.py              the state machine that a driver uses; read this first
    dialogue_events.py  the events that the state machine returns to its driver
    states.py           the states of the machine; file_get.py has the longest one
    file_get.py         the dialogue of `file get`
    file_get_replies.py answers to the questions of `file get`, and the stages of the dialogue
    file_get_lines.py   other lines of a `file get`: sizes, and reasons for a refusal
    questions.py        the questions that a node asks, and when `admin:` is the prompt
    screen.py           decodes the bytes of a terminal, and finds the lines in them
    arguments.py        checks the words of a command before they are typed
    command_lines.py    makes the command lines of `file get` and of packet captures
    time_window.py      the time window of a collection, as `file get` takes it
    forms.py            the commands that `run` and `follow` may type, as a table

These files read the answers to commands:

    status_answers.py   the machine, its time zone and its clock
    cluster_answers.py  cluster, version, replication, high availability
    service_answers.py  services, NTP, the files of a folder
    record_answers.py   processes, counters, core files, certificates, backups

All of them use:

    secrets.py          masks passwords
    transcript.py       writes both directions of a session as lines for a person
    texts.py            literal texts of nodes, and the comparison of lines with them
"""

from cucmd.vos.arguments import InvalidArgument as InvalidArgument
from cucmd.vos.cli import Cli as Cli
from cucmd.vos.cluster_answers import ActiveVersion as ActiveVersion
from cucmd.vos.cluster_answers import ClusterTable as ClusterTable
from cucmd.vos.cluster_answers import ListedNode as ListedNode
from cucmd.vos.cluster_answers import find_asked_node as find_asked_node
from cucmd.vos.cluster_answers import parse_network_cluster as parse_network_cluster
from cucmd.vos.cluster_answers import parse_version_active as parse_version_active
from cucmd.vos.command_lines import FileGet as FileGet
from cucmd.vos.command_lines import ReceiverAddress as ReceiverAddress
from cucmd.vos.command_lines import capture_line as capture_line
from cucmd.vos.command_lines import capture_path as capture_path
from cucmd.vos.command_lines import delete_line as delete_line
from cucmd.vos.command_lines import is_capture_file as is_capture_file
from cucmd.vos.command_lines import strip_capture_options as strip_capture_options
from cucmd.vos.dialogue_events import Broken as Broken
from cucmd.vos.dialogue_events import CanLogIn as CanLogIn
from cucmd.vos.dialogue_events import CommandDone as CommandDone
from cucmd.vos.dialogue_events import Declined as Declined
from cucmd.vos.dialogue_events import FileGetDone as FileGetDone
from cucmd.vos.dialogue_events import NothingMatched as NothingMatched
from cucmd.vos.dialogue_events import Printed as Printed
from cucmd.vos.dialogue_events import Prompted as Prompted
from cucmd.vos.dialogue_events import SizesAnnounced as SizesAnnounced
from cucmd.vos.dialogue_events import Started as Started
from cucmd.vos.dialogue_events import StoppedAtQuestion as StoppedAtQuestion
from cucmd.vos.dialogue_events import TransferMoved as TransferMoved
from cucmd.vos.file_get_lines import is_refusal as is_refusal
from cucmd.vos.file_get_lines import quote as quote
from cucmd.vos.forms import LONGEST_TAIL as LONGEST_TAIL
from cucmd.vos.forms import parse_command as parse_command
from cucmd.vos.forms import parse_tail as parse_tail
from cucmd.vos.forms import take_parsable as take_parsable
from cucmd.vos.service_answers import ListedFile as ListedFile
from cucmd.vos.service_answers import parse_file_list as parse_file_list
from cucmd.vos.status_answers import Machine as Machine
from cucmd.vos.status_answers import ShowStatus as ShowStatus
from cucmd.vos.status_answers import find_node_time as find_node_time
from cucmd.vos.status_answers import parse_machine as parse_machine
from cucmd.vos.texts import PAGER_OFF as PAGER_OFF
from cucmd.vos.texts import SHOW_CLUSTER as SHOW_CLUSTER
from cucmd.vos.texts import SHOW_STATUS as SHOW_STATUS
from cucmd.vos.texts import SHOW_VERSION as SHOW_VERSION
from cucmd.vos.time_window import make_window as make_window
from cucmd.vos.time_window import needs_time_zone as needs_time_zone
