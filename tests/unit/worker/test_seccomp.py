"""The filter of system calls, run by an interpreter as the kernel would run it."""

import errno
import fcntl
import re
import socket
import struct
import termios
from pathlib import Path

import pytest

from cucmd.worker.seccomp import build_program, call_numbers

PID = 4242
ELF = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = {
    "x86_64": ["x86_64-linux-gnu/asm/unistd_64.h", "asm/unistd_64.h"],
    "aarch64": ["aarch64-linux-gnu/asm/unistd_64.h", "asm-generic/unistd.h"],
}
KILLED, ALLOWED = "killed", "allowed"
THREAD = 0x3D0F00  # the flags with which the C library starts a thread

machines = pytest.mark.parametrize("machine", ELF)


def result(
    machine: str,
    number: int,
    *arguments: int,
    elf: int | None = None,
) -> str:
    """Runs the program on one call. Returns the name of the error, `KILLED` or `ALLOWED`."""
    steps = list(struct.iter_unpack("=HBBI", build_program(machine, PID)))
    filled = (*arguments, *[0] * (6 - len(arguments)))
    call = struct.pack("=iIQ6Q", number, ELF[machine] if elf is None else elf, 0, *filled)
    at = value = 0
    while True:
        code, if_so, if_not, operand = steps[at]
        at += 1
        match code:
            case 0x20:
                (value,) = struct.unpack_from("=I", call, operand)
            case 0x54:
                value &= operand
            case 0x15:
                at += if_so if value == operand else if_not
            case 0x35:
                at += if_so if value >= operand else if_not
            case 0x06 if operand & 0xFFFF0000 == 0x00050000:
                return errno.errorcode[operand & 0xFFFF]
            case 0x06:
                return {0x80000000: KILLED, 0x7FFF0000: ALLOWED}[operand]
            case _:
                raise AssertionError(f"instruction {code:#x}")


@machines
@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("socket", (socket.AF_UNIX, socket.SOCK_STREAM, 0), "EPERM"),
        ("connect", (3,), "EPERM"),
        ("execve", (), "EPERM"),
        ("kill", (PID, 0), "EPERM"),
        ("utimensat", (), "EPERM"),
        ("shmget", (), "EPERM"),
        ("clone3", (), "EPERM"),
        ("clone", (17,), "EPERM"),
        ("clone", (THREAD,), "EPERM"),
        ("socketpair", (socket.AF_UNIX, socket.SOCK_STREAM), ALLOWED),
        ("socketpair", (socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC), ALLOWED),
        ("socketpair", (socket.AF_UNIX, socket.SOCK_DGRAM), "EPERM"),
        ("socketpair", (30, socket.SOCK_STREAM), "EPERM"),
        ("tgkill", (PID, 1, 6), ALLOWED),
        ("tgkill", (PID + 1, 1, 6), "EPERM"),
        ("prlimit64", (0, 7), ALLOWED),
        ("prlimit64", (PID + 1, 7), "EPERM"),
        ("ioctl", (0, termios.FIONBIO), ALLOWED),
        ("ioctl", (0, termios.TIOCSTI), "EPERM"),
        ("fcntl", (0, fcntl.F_SETFL), ALLOWED),
        ("fcntl", (0, fcntl.F_SETOWN), "EPERM"),
        ("prctl", (15,), ALLOWED),
        ("prctl", (1, 0), "EPERM"),
    ],
)
def test_decision_for_call(machine: str, name: str, arguments: tuple[int, ...], said: str) -> None:
    assert result(machine, call_numbers(machine)[name], *arguments) == said


@machines
def test_other_calls_are_allowed(machine: str) -> None:
    others = set(range(500)) - set(call_numbers(machine).values())
    assert {result(machine, number) for number in others} == {ALLOWED}


@machines
def test_calls_of_other_machines_kill(machine: str) -> None:
    for elf in {0x40000003, 0x40000028, *ELF.values()} - {ELF[machine]}:  # i386, ARM
        assert result(machine, 0, elf=elf) == KILLED
    assert result(machine, 0x40000000) == result(machine, 0x40000000 + 41) == KILLED


@machines
def test_numbers_match_the_kernel(machine: str) -> None:
    found = [Path("/usr/include", one) for one in HEADERS[machine]]
    header = next((one for one in found if one.exists()), None)
    if header is None:
        pytest.skip("needs the headers of the kernel: apt-get install linux-libc-dev")
    lines = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\s", header.read_text())
    kernel = {name: int(number) for name, number in lines}
    newest = max(kernel.values())
    ours = {name: number for name, number in call_numbers(machine).items() if number <= newest}
    assert {name: kernel.get(name) for name in ours} == ours
    assert len(ours) > 50
