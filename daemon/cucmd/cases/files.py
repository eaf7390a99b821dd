"""Lists the files of a job by pages, selects those that count, and removes them all.

If a node succeeded, only the files of its last attempt count; otherwise all its files count. The
last attempt collects the files of a failed attempt again, under other paths, since a node makes a
new folder for each command. Of work that `adds_up`, the files of all attempts count.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from cucmd import durable
from cucmd.job.job import Job
from cucmd.job.kind import OUTPUT, Kind
from cucmd.job.node import Node, Succeeded
from cucmd.node_name import folder_of
from cucmd.received_file import ReceivedFile
from cucmd.store import Store

# The number of files in memory at once, which take about 1 MB.
PAGE = 1000
Page: TypeAlias = list[tuple[ReceivedFile, Node]]


def nodes_by_name(job: Job, names: Sequence[str] | None) -> dict[str, Node]:
    """Returns the nodes of a job by name, or only those in `names`."""
    return {node.node: node for node in job.nodes if names is None or node.node in names}


def is_counted(file: ReceivedFile, node: Node, work: Kind) -> bool:
    last = file.attempt == node.attempt
    return last or work.adds_up or not isinstance(node.state, Succeeded)


def is_directory_gone(job: Job, directory: Path) -> bool:
    """Returns whether somebody has removed the files of a closed job without a call to the daemon.

    Each `Status` needs this. A thread would cost ten times as much as the kernel's answer, which
    mostly comes from memory.
    """
    if not job.closed or not any(node.files_received for node in job.nodes):
        return False
    return not directory.exists()


def node_folder(node: Node) -> str:
    """Returns the name of the node's folder in the directory of the job."""
    return folder_of(node.node, marked=node.marked)


def export_folder(node: Node) -> str:
    """Returns the name of the node's folder in an export, before it is made portable.

    If the name of the node became known later (`Node.named_at`), exports before and after have
    different folders. People then find the name that `status` shows; `summary.txt` says so.
    """
    return node.name or node_folder(node)


def name_on_node(path: str, node: Node) -> str:
    """Returns the path of a file below the folder of the node: the name that the node gave it, or
    `output/001-show-status.txt` for the output of a command.

    path: as in `ReceivedFile`.
    """
    return path.removeprefix(f"{node_folder(node)}/").removeprefix("files/")


def is_output(file: ReceivedFile, node: Node) -> bool:
    """Returns whether the file is the output of a command. The node pushed all other files."""
    return file.path.startswith(f"{node_folder(node)}/{OUTPUT}/")


async def file_pages(
    store: Store, job_id: str, nodes: Mapping[str, Node]
) -> AsyncGenerator[Page, None]:
    """Yields all files of these nodes, with their nodes, by node and path. Raises `StoreFailed`."""
    one_node = len(nodes) == 1
    after = (next(iter(nodes)) if one_node else "", "")
    while page := await store.files(job_id, after, PAGE, one_node=one_node):
        yield [(file, nodes[file.node]) for file in page if file.node in nodes]
        after = (page[-1].node, page[-1].path)


class Stopped(Exception):
    """Raised if the daemon stops. The rest of the directory is removed after the next start."""


def remove_directory(directory: Path, stopped: threading.Event) -> None:
    """Removes the directory of a job, which is durably gone on return. Call it in a worker thread.

    A missing directory is no error. Each name is removed relative to an open directory, and a link
    is removed and never followed. So nothing outside the directory is touched even if another
    process changes the tree meanwhile.

    Raises `Stopped` soon after `stopped` is set, and `OSError` if something could not be removed.
    """
    with suppress(FileNotFoundError):  # the directory itself is missing
        for _, folders, files, descriptor in os.fwalk(directory, topdown=False, onerror=_raise):
            for name in (*files, *folders):
                if stopped.is_set():
                    raise Stopped
                _remove(name, descriptor)
    _remove(str(directory), None)
    if directory.parent.exists():
        durable.sync_directory(directory.parent)


def _remove(name: str, descriptor: int | None) -> None:
    """Removes a file, a link or an empty directory, unless it is gone already."""
    with suppress(FileNotFoundError):
        try:
            os.unlink(name, dir_fd=descriptor)
        except IsADirectoryError:
            os.rmdir(name, dir_fd=descriptor)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
