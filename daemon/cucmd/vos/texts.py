"""PURE. Holds literal texts that nodes print or that are typed to them, and compares lines.

Patterns that allow for differences are beside the code that uses them. V, C, I and ? are the tags
of vos/NODES.md.

The time for reading a line is linear in its length. So a line longer than any known form is not
searched, blanks at its end are removed before, and no two parts of variable length in a pattern may
match the same characters. tests/unit/test_linear.py tries all patterns.
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

# The pager (V), which is sent between ESC[1m and ESC[0m.
PAGER = "Press <enter> for 1 line, <space> for one page, or <q> to quit"

# Generic errors (vos/NODES.md, section 4).
UNSUCCESSFUL = "Executed command unsuccessfully"  # (V)
NO_VALID_COMMAND = "No valid command entered"  # (C)
INVALID_COMMAND = "% Invalid command"  # from the vendor's own mock of a node (V)
WRONG_ARITY = "non-mandatory parameter(s)"  # (C); the numbers before the words differ
NO_SUCH_FILE = "no such file or directory can be found"  # (V)

# The questions of `file get` about the receiver (V, C), and its failures (C).
ASK_HOST = "SFTP server IP:"
ASK_USER = "User ID:"
ASK_PASSWORD = "Password:"  # noqa: S105  a prompt, not a password
ASK_DIRECTORY = "Download directory:"
NO_FILES_MATCHED = "No files matched filter criteria"
INVALID_DIRECTORY = "Invalid download directory specified."

# The shell's answer to Ctrl-C (V).
INTERRUPTED = "Control-C pressed"

# The heading between the two tables of `show network cluster` (V).
SERVER_TABLE = "Server Table (processnode) Entries"

LONGEST = 512  # characters of a line with a known form; the longest line that was seen has 230
_LONGEST_VALUE = 300
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def match_line(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    """Returns the match for the whole line without blanks at its end, or None."""
    return pattern.fullmatch(line.rstrip()) if len(line) <= LONGEST else None


def parse_time(year: str, month: str, day: str, *time: str) -> datetime | None:
    """Returns the time in these words, or None if they are not a time. `month`: such as "Feb"."""
    try:
        number = _MONTHS.index(month.lower()) + 1
        hour, minute, second = map(int, time)
        return datetime(int(year), number, int(day), hour, minute, second)
    except (ValueError, OverflowError):
        return None


def read_field(line: str, names: dict[str, str], fields: dict[str, str]) -> bool:
    """Reads a line `Label : value` into `fields`. Returns False for any other line.

    A second line with the same label is not read. names: field names by labels in lower case.
    """
    label, _, value = line.partition(":") if len(line) <= LONGEST else ("", "", "")
    name, value = names.get(" ".join(label.lower().split())), value.strip()
    if not name or name in fields or not 0 < len(value) <= _LONGEST_VALUE:
        return False
    fields[name] = value
    return True
