"""PURE. Holds what the appliance prints, word for word, what is typed to it, and how a line is
compared.

A literal text that `vos` compares with or types stands here, once. Patterns that allow for
differences stand beside the code that uses them. V, C, I and ? are the tags of `vos/NODES.md`.

No line of an answer costs more than its length. One that is longer than any known form is not
searched, blanks at its end are no part of it, and in no pattern do two parts that may vary in
length take the same characters (`tests/unit/test_linear.py` tries all of them).
"""

from __future__ import annotations

import re
from datetime import datetime

# Login (V). A custom logon message may come before it, and warning lines within it.
STARTING_UP = "Command Line Interface"
PROMPT = "admin:"

# Commands (V).
PAGER_OFF = "set cli pagination off"
SHOW_STATUS = "show status"
SHOW_CLUSTER = "show network cluster"
SHOW_VERSION = "show version active"
SERVICE_LIST = "utils service list"
NTP_STATUS = "utils ntp status"
RUNTIMESTATE = "utils dbreplication runtimestate"
QUIT = "quit"
# The key Enter, as a terminal sends it (V). LF is another key, which a shell in raw mode ignores.
ENTER = "\r"

# The pager (V); it stands between ESC[1m and ESC[0m.
PAGER = "Press <enter> for 1 line, <space> for one page, or <q> to quit"

# Generic errors (V, the middle two C).
UNSUCCESSFUL = "Executed command unsuccessfully"
NO_VALID_COMMAND = "No valid command entered"
INVALID_COMMAND = "% Invalid command"  # of the vendor's own mock (V)
WRONG_ARITY = "non-mandatory parameter(s)"  # the numbers before it differ from command to command
NO_SUCH_FILE = "no such file or directory can be found"

# The questions of `file get` about the receiver (V, C), and how it fails (C).
ASK_HOST = "SFTP server IP:"
ASK_USER = "User ID:"
ASK_PASSWORD = "Password:"  # noqa: S105  a prompt, not a password
ASK_DIRECTORY = "Download directory:"
NO_FILES_MATCHED = "No files matched filter criteria"
INVALID_DIRECTORY = "Invalid download directory specified."

# What the shell says to Ctrl-C (V).
INTERRUPTED = "Control-C pressed"

# Between the two tables of `show network cluster` (V).
SERVER_TABLE = "Server Table (processnode) Entries"


LONGEST = 512  # characters of a line that has a form; the longest that was seen has 230
_LONGEST_VALUE = 300
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def match_line(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    """Returns the match of the whole line but for the blanks at its end, or None."""
    return pattern.fullmatch(line.rstrip()) if len(line) <= LONGEST else None


def parse_time(year: str, month: str, day: str, *time: str) -> datetime | None:
    """Returns the time in these words, the month by three letters of its name; None: it is none."""
    try:
        number = _MONTHS.index(month.lower()) + 1
        hour, minute, second = map(int, time)
        return datetime(int(year), number, int(day), hour, minute, second)
    except ValueError:
        return None


def read_field(line: str, names: dict[str, str], fields: dict[str, str]) -> bool:
    """Says whether the line is `Label : value`, with a label that `names` has, in lower case.

    Adds the value to `fields` by that name; where there is one already, the line is none.
    """
    label, _, value = line.partition(":") if len(line) <= LONGEST else ("", "", "")
    name, value = names.get(" ".join(label.lower().split())), value.strip()
    if not name or name in fields or not 0 < len(value) <= _LONGEST_VALUE:
        return False
    fields[name] = value
    return True
