"""PURE. Holds the texts that an appliance prints, word for word.

They were written from `vos/NODES.md` and not from the code of `vos`, so that a wrong word in that
code makes a test fail. V, C, I and ? are the tags of NODES.md.
"""

from __future__ import annotations

# Login (V). A channel without a PTY gets the first line only (C).
STARTING_UP = "Command Line Interface is starting up, please wait ..."
GREETING = (
    "",
    "   Welcome to the Platform Command Line Interface",
    "",
    "VMware Installation:",
    "\t2 vCPU: Intel(R) Xeon(R) CPU E7- 2830  @ 2.13GHz",
    "\tDisk 1: 146GB, Partitions aligned",
    "\t8192 Mbytes RAM",
    "",
)
DNS_UNREACHABLE = "WARNING: DNS unreachable"
PROMPT = "admin:"
# A login whose password has expired (?). The words of the appliance are unknown; these are those
# of Linux.
PASSWORD_EXPIRED = "You are required to change your password immediately (password expired)."  # noqa: S105
ASK_CURRENT_PASSWORD = "Current password: "  # noqa: S105  a question
PASSWORD_UNCHANGED = "Authentication token manipulation error"  # noqa: S105

# The pager (V), and the sequence that erases its question after the key.
PAGER = "\x1b[1mPress <enter> for 1 line, <space> for one page, or <q> to quit\x1b[0m"
PAGER_GONE = "\r\x1b[K"
PAGER_IS_OFF = "Automatic pagination is turned off"
PAGER_IS_ON = "Automatic pagination is turned on"

# Generic errors (V; the second and the third are C).
UNSUCCESSFUL = "Executed command unsuccessfully"
NO_VALID_COMMAND = "No valid command entered"
WRONG_ARITY = "Expected {mandatory} mandatory and up to {more} non-mandatory parameter(s)"
INVALID_COMMAND = "% Invalid command '{command}'"
NO_SUCH_FILE = "no such file or directory can be found"

# `file get`, in the order of the dialogue (V, C). A blank follows each question.
GATHERING = "Please wait while the system is gathering files info ..."
GATHERED = "done."
GET_FILE = " Get file: {path}"
NO_FILES_MATCHED = "No files matched filter criteria"
NOT_TRAVERSED = "Sub-directories were not traversed."
TRAVERSED = "Sub-directories were traversed."
FILES_AFFECTED = "Number of files affected: {files}"
SIZE_BYTES = "Total size in Bytes: {size}"
SIZE_KBYTES = "Total size in Kbytes: {size}"
CONTINUE = "Continue (y/n)?"
ANSWER_Y_OR_N = "Please answer 'y' for <yes> or 'n' for <no>:"
PROCEED = "Would you like to proceed [y/n]?"
ASK_HOST = "SFTP server IP:"
ASK_PORT = "SFTP server port [22]:"
ASK_USER = "User ID:"
ASK_PASSWORD = "Password:"  # noqa: S105  a question, not a password
ASK_DIRECTORY = "Download directory:"
HOST_KEY_UNKNOWN = "The authenticity of host '{host}' can't be established."
HOST_KEY_FINGERPRINT = "{algorithm} key fingerprint is {fingerprint}."
HOST_KEY_QUESTION = "Are you sure you want to continue connecting (yes/no)?"
HOST_KEY_AGAIN = "Please type 'yes' or 'no':"
INVALID_DIRECTORY = "Invalid download directory specified."
TRANSFER_DOT = "."
TRANSFER_COMPLETED = "Transfer completed"  # the final dot is not always there

# Captures: the block of options is V, the refusal is ?.
EXECUTING = "Executing command with options:"
NO_SPACE = "Not enough disk space on the common partition: the low water mark is exceeded"

# `file tail`: how a node refuses the command is unknown (?).
NO_PRIVILEGE = "This command requires privilege level 1"

# `file delete` (V).
DELETE = "Delete the File {path}?"
DELETE_QUESTION = 'Enter "y" followed by return to continue:'
DELETED = "files: found = {found}, deleted = {deleted}"

# Searches (V).
SEARCHING_PATH = "Searching path: /var/log/{root}/{path}"
SEARCHING_FILE = "Searching file: /var/log/{root}/{path}"
SEARCHED = "Search completed"

# Listings (V).
LIST_FOOTER = "dir count = {directories}, file count = {files}"
SERVER_TABLE = "Server Table (processnode) Entries"
SERVER_TABLE_RULE = "----------------------------------"
NO_OPTIONS = "No Installed Software Options Found."
