"""Uploads with `sftp`, and files encrypted with `gpg` or a password, opened by `gpg` and `7z`."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cucmctl.cli import exits
from cucmctl.upload.encryption import Encryption
from rig import written
from rig.gpg_home import KEY, needs_gpg
from rig.small_disk import fill, small_disk
from rig.upload_servers import TOKEN, running_sshd

# stream-zip does not name the hash that the format of zips asks for.
pytestmark = pytest.mark.filterwarnings("ignore:PBKDF2 without:DeprecationWarning")
CONTENT = os.urandom(300_000)
PASSWORD = "Zip Secret-1"
needs_7z = pytest.mark.skipif(shutil.which("7z") is None, reason="7z is not installed")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sshd")
    if not Path("/usr/sbin/sshd").exists():
        pytest.skip("sshd is not installed")
    with running_sshd(folder) as address:
        yield folder, address


@pytest.fixture
def inbox(tmp_path):
    (folder := tmp_path / "in box").mkdir()
    return folder


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "case é*%.zip"
    path.write_bytes(CONTENT)
    return path


def path_with(folder: Path) -> str:
    return f"{folder / 'programs'}:{os.environ['PATH']}"


def test_sftp_stores_the_file(ctl, sshd, inbox, file):
    folder, address = sshd
    done = ctl("upload", str(file), f"sftp://{address}/{inbox}/", PATH=path_with(folder))
    assert done.returncode == 0, done.stderr
    assert (inbox / file.name).read_bytes() == CONTENT
    assert done.stdout == f"{hashlib.sha256(CONTENT).hexdigest()}  {file.name}\n"


def test_sftp_does_not_get_the_token(ctl, sshd, inbox, file):
    folder, address = sshd
    to = f"sftp://{address}/{inbox}/"
    done = ctl("upload", str(file), to, PATH=path_with(folder), CUCM_UPLOAD_TOKEN=TOKEN)
    assert done.returncode == 0
    said = (folder / "sftp.said").read_bytes()
    assert b"PATH=" in said
    assert written.found_in(said, [TOKEN]) == []


@pytest.mark.parametrize(
    ("host", "inbox", "code"),
    [("", "missing", 1), ("nobody@127.0.0.1:1", "in", 69), ("-oX=y@127.0.0.1:1", "in", 69)],
)
def test_sftp_refusals_become_codes(ctl, sshd, file, host, inbox, code):
    folder, address = sshd
    to = f"sftp://{host or address}/{inbox}/"
    done = ctl("upload", str(file), to, PATH=path_with(folder))
    assert done.returncode == code
    assert "cucmctl: sftp: " in done.stderr


def test_sftp_gets_no_quotes(ctl, sshd, tmp_path):
    folder, address = sshd
    (odd := tmp_path / 'a" "b').write_bytes(b"")
    done = ctl("upload", str(odd), f"sftp://{address}/", PATH=path_with(folder))
    assert done.returncode == 2


def test_words_of_programs_are_escaped(ctl, tmp_path, file):
    (programs := tmp_path / "programs").mkdir()
    lines = 'i=0; while [ $i -lt 9999 ]; do printf "\\033[2J\\233\\n"; i=$((i+1)); done >&2; exit 1'
    (programs / "sftp").write_text(f"#!/bin/sh\n{lines}\n")
    (programs / "sftp").chmod(0o755)
    done = ctl("upload", str(file), "sftp://host/", PATH=path_with(tmp_path))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) < 20
    assert all(line.isprintable() for line in done.stderr.splitlines())


@needs_gpg
def test_gpg_decrypts(gpg, file, monkeypatch):
    monkeypatch.setenv("GNUPGHOME", str(gpg))
    path = Encryption(KEY).encrypt(file, force=False)
    assert path == file.with_name(f"{file.name}.gpg")
    assert path.stat().st_mode & 0o777 == 0o600
    plain = subprocess.run(["gpg", "--batch", "-d", path], check=True, capture_output=True).stdout
    assert plain == CONTENT


@needs_gpg
def test_unknown_key_is_told_first(ctl, gpg, file):
    done = ctl(
        *("upload", str(file), "https://localhost:1/", "--encrypt-to", "other@example.org"),
        GNUPGHOME=str(gpg),
    )
    assert done.returncode == 2
    assert "other@example.org" in done.stderr
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@needs_gpg
def test_expired_key_is_told_first(ctl, gpg, file):
    make = ["gpg", "--batch", "--faked-system-time", "20250101T000000", "--passphrase", ""]
    make += ["--quick-gen-key", "old@example.org", "future-default", "default", "30d"]
    subprocess.run(make, env={**os.environ, "GNUPGHOME": str(gpg)}, check=True, capture_output=True)
    done = ctl(
        *("upload", str(file), "https://localhost:1/", "--encrypt-to", "old@example.org"),
        GNUPGHOME=str(gpg),
    )
    assert done.returncode == 2
    assert "has not expired" in done.stderr
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@needs_7z
@pytest.mark.parametrize(("password", "opens"), [(PASSWORD, True), ("Other-1", False)])
def test_7z_opens_with_the_password(tmp_path, file, password, opens):
    path = Encryption(None, PASSWORD).encrypt(file, force=False)
    assert path.name == "case é*%.aes.zip"
    listed = subprocess.run(["7z", "l", "-slt", path], check=True, capture_output=True, text=True)
    assert "AES-256" in listed.stdout
    out = tmp_path / "out"
    unpack = ["7z", "x", f"-p{password}", f"-o{out}", path]
    assert (subprocess.run(unpack, check=False, capture_output=True).returncode == 0) == opens
    assert not opens or (out / file.name).read_bytes() == CONTENT


@needs_7z
def test_7z_opens_with_what_was_typed(terminal, file, tmp_path):
    address = "https://localhost:1/a-folder-with-a-long-name/and-another-one/inbox/"
    screen = terminal("upload", str(file), address, "--encrypt-with-password")
    for question in ("Password of the encrypted file: ", "The same password again: "):
        screen.until(question)
        screen.type(f"{PASSWORD}\n")
    assert screen.ended() == 69
    assert PASSWORD not in screen.raw
    assert screen.settings == screen.before
    unpack = ["7z", "x", f"-p{PASSWORD}", f"-o{tmp_path / 'out'}", tmp_path / "case é*%.aes.zip"]
    subprocess.run(unpack, check=True, capture_output=True)
    assert (tmp_path / "out" / file.name).read_bytes() == CONTENT


@needs_7z
def test_7z_opens_with_the_second_line(ctl, file, tmp_path):
    done = ctl(
        *("upload", str(file), "https://olga@localhost:1/", "--token-file", "-"),
        *("--encrypt-with-password-file", "-"),
        typed=f"{TOKEN}\n{PASSWORD}\n",
    )
    assert done.returncode == 69
    unpack = ["7z", "t", f"-p{PASSWORD}", tmp_path / "case é*%.aes.zip"]
    subprocess.run(unpack, check=True, capture_output=True)


@pytest.mark.parametrize(("typed", "code"), [("\n", 2), ("\x03", 130)])
@pytest.mark.parametrize("again", [False, True])
def test_no_password_starts_nothing(terminal, file, typed, code, again):
    screen = terminal("upload", str(file), "https://localhost:1/", "--encrypt-with-password")
    screen.until("Password of the encrypted file: ")
    if again:
        screen.type(f"{PASSWORD}\n")
        screen.until("The same password again: ")
    screen.type(typed)
    assert screen.ended() == code
    assert "nothing was started" in screen.screen
    assert screen.settings == screen.before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("first", "again"), [(PASSWORD, "other"), ("Grün-1", "Grün-1"), ("x" * 100, "x" * 100)]
)
def test_passwords_that_zips_cannot_have(terminal, file, first, again):
    screen = terminal("upload", str(file), "https://localhost:1/", "--encrypt-with-password")
    screen.until("Password of the encrypted file: ")
    screen.type(f"{first}\n")
    screen.until("The same password again: ")
    screen.type(f"{again}\n")
    assert screen.ended() == 2
    assert first not in screen.raw
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@needs_gpg
@pytest.mark.parametrize(
    ("encryption", "code"), [(Encryption(None, PASSWORD), 74), (Encryption(KEY), 1)]
)
def test_full_disk_leaves_nothing(gpg, tmp_path, monkeypatch, encryption, code):
    monkeypatch.setenv("GNUPGHOME", str(gpg))
    with small_disk(tmp_path / "disk", 4) as disk:
        (file := disk / "case.zip").write_bytes(CONTENT)
        filler = fill(disk, 100_000)
        with pytest.raises(exits.Failed) as failed:
            encryption.encrypt(file, force=False)
        assert failed.value.code == code
        assert {path.name for path in disk.iterdir()} == {file.name, filler.name}


def test_sigterm_leaves_nothing(process, environ, file, tmp_path):
    (programs := tmp_path / "programs").mkdir()
    os.mkfifo(began := tmp_path / "began")
    # The first call only asks whether there is such a key.
    script = f"[ $(readlink /proc/self/fd/0) = /dev/null ] || {{ : >{began}; exec sleep 60; }}"
    (programs / "gpg").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "gpg").chmod(0o755)
    arguments = ("upload", str(file), "https://localhost:1/", "--encrypt-to", KEY)
    running = process(*arguments, env={**environ, "PATH": path_with(tmp_path)})
    began.read_bytes()
    running.terminate()
    assert running.wait(30) == 143
    running.communicate()
    assert {path.name for path in tmp_path.iterdir()} == {file.name, "programs", "began"}
