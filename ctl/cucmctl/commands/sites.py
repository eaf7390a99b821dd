"""`sites` lists the sites of sites.toml. `bridge` is what `cucmctl` itself runs at a site."""

from __future__ import annotations

import argparse
import os
import socket
import threading

from cucmctl.cli import exits, printer
from cucmctl.cli.options import Verb, no_arguments
from cucmctl.client.calls import Calls
from cucmctl.client.client import Client
from cucmctl.client.errors import not_connected
from cucmctl.client.methods import UNFINISHED
from cucmctl.text import render


def _sites(arguments: argparse.Namespace) -> int:
    """Prints the line of one site. `cucmctl.sites.several` calls this for each site."""
    with Client(arguments.socket) as client:
        figures = client.figures()
    counts = {
        status: sum(one.jobs for one in figures.jobs if one.status == status)
        for status in UNFINISHED
    }
    place, version, free = str(arguments.socket), figures.version, figures.free_bytes
    row = {"place": place, "version": version, "jobs": counts, "free_bytes": free}
    jobs = ", ".join(f"{number} {status}" for status, number in counts.items())
    space = "free space not known" if free is None else f"{render.size(free)} free"
    text = f"{version:8}  {jobs:22}  {space:>12}  {place}"
    return printer.show(row, [printer.visible(text)], as_json=arguments.json)


def _bridge(arguments: argparse.Namespace) -> int:
    """Copies standard input to the socket, and the socket to standard output, until its end."""
    path = Calls(arguments.socket).socket
    with socket.socket(socket.AF_UNIX) as daemon:
        try:
            daemon.connect(path)
        except (OSError, ValueError) as error:
            raise not_connected(path, error) from None

        def send() -> None:
            while data := os.read(0, 65536):
                daemon.sendall(data)
            daemon.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        while data := daemon.recv(65536):
            printer.standard_output().buffer.write(data)
            printer.standard_output().flush()
    return exits.DONE


COMMANDS = {
    "sites": Verb(
        "Lists the sites of sites.toml: the version of the daemon, its jobs, and the free space\n"
        "for files. For a site that cannot be reached, prints why.",
        "  cucmctl sites\n  cucmctl sites --site berlin,munich --json",
        "0 done, 3 some sites cannot be reached",
        no_arguments,
        _sites,
    ),
    "bridge": Verb(
        "Connects standard input and output with the daemon's socket. cucmctl runs this at a\n"
        "site whose sshd does not forward sockets, and a key can be limited to it.",
        "  cucmctl bridge\n  cucmctl bridge --socket /run/cucmd/cucmd.sock",
        "0 the daemon has closed the connection",
        no_arguments,
        _bridge,
    ),
}
