"""Lists the files of a job, a page at a time, says which of them count, and removes them all.

Of a node that succeeded, the files of its last attempt count; of another node all. An attempt that
failed left files behind that the one after it has collected again, under other paths, since a node
makes a new folder for each command.
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
from cucmd.job.kind import OUTPUT
from cucmd.job.node import Node, Succeeded
from cucmd.node_name import folder_of
from cucmd.received_file import ReceivedFile
from cucmd.store import Store

# Files in memory at once: about 1 MB.
PAGE = 1000
Page: TypeAlias = list[tuple[ReceivedFile, Node]]


def nodes_by_name(job: Job, names: Sequence[str] | None) -> dict[str, Node]:
    """Returns the nodes of a job by name, or those of them that are named."""
    return {node.node: node for node in job.nodes if names is None or node.node in names}


def counts(file: ReceivedFile, node: Node) -> bool:
    """Says whether the file belongs to what was collected from the node."""
    return not isinstance(node.state, Succeeded) or file.attempt == node.attempt


def is_gone(job: Job, directory: Path) -> bool:
    """Says whether somebody has removed what a closed job collected, and not by a call.

    Asked at each `Status`. A thread for it would cost ten times as much as the kernel's answer,
    which is from memory mostly.
    """
    if not job.closed or not any(node.files_received for node in job.nodes):
        return False
    return not directory.exists()


def folder(node: Node) -> str:
    """Returns the node's folder, in the directory of the job and in an export."""
    return folder_of(node.node, marked=node.marked)


def name_of(file: ReceivedFile, node: Node) -> str:
    """Returns the file's path below the folder of the node: as the node named it, or what a command
    has printed as `output/001-show-status.txt`.
    """
    return file.path.removeprefix(f"{folder(node)}/").removeprefix("files/")


def is_output(file: ReceivedFile, node: Node) -> bool:
    """Says whether a command has printed it; the others were pushed."""
    return file.path.startswith(f"{folder(node)}/{OUTPUT}/")


async def pages(store: Store, job_id: str, nodes: Mapping[str, Node]) -> AsyncGenerator[Page, None]:
    """Yields all files of these nodes, by node and path, with their nodes. Raises `StoreFailed`."""
    one_node = len(nodes) == 1
    after = (next(iter(nodes)) if one_node else "", "")
    while page := await store.files(job_id, after, PAGE, one_node=one_node):
        yield [(file, nodes[file.node]) for file in page if file.node in nodes]
        after = (page[-1].node, page[-1].path)


class Stopped(Exception):
    """The daemon stops. What is left is removed after the next start."""


def remove_directory(directory: Path, stopped: threading.Event) -> None:
    """Removes the directory of a job. Returns once it is gone for good; one that is not there is
    fine. For a worker thread.

    Nothing outside of it is touched. Every name is removed within an open directory, and a link is
    removed and not followed, wherever it points and whoever changes the tree meanwhile.
    Raises `Stopped` soon after `stopped` is set, and `OSError` with what is left.
    """
    with suppress(FileNotFoundError):  # of the directory itself
        for _, folders, files, descriptor in os.fwalk(directory, topdown=False, onerror=_raise):
            for name in (*files, *folders):
                if stopped.is_set():
                    raise Stopped
                _remove(name, descriptor)
    _remove(str(directory), None)
    if directory.parent.exists():
        durable.sync_directory(directory.parent)


def _remove(name: str, descriptor: int | None) -> None:
    """Removes a file, a link or an empty directory, if it is there."""
    with suppress(FileNotFoundError):
        try:
            os.unlink(name, dir_fd=descriptor)
        except IsADirectoryError:
            os.rmdir(name, dir_fd=descriptor)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
