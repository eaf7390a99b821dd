"""Named credentials are refused if they are not safe, and never shown."""

import os
import traceback

import pytest

from cucmd.config import CredentialRefused, UnknownCredential, load_credential

SECRET = "correct horse battery"


@pytest.fixture
def put(tmp_path):
    tmp_path.chmod(0o700)

    def _put(name, content, mode=0o600):
        file = tmp_path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)
        return tmp_path

    return _put


def test_user_name_and_password(put):
    put("lab.username", "administrator\n")
    directory = put("lab.password", f" {SECRET}\r\n")
    credential = load_credential("lab", directory, {"CREDENTIALS_DIRECTORY": "/none"})
    assert (credential.username, credential.password) == ("administrator", f" {SECRET}")


def test_password_is_in_no_repr(put):
    credential = load_credential("lab", put("lab.password", SECRET), {})
    assert SECRET not in repr(credential)


@pytest.mark.parametrize("name", ["", "../lab", "a/b", ".lab", "a\0b", "a\n", "x" * 65])
def test_invalid_names_are_refused(put, name):
    with pytest.raises(UnknownCredential, match="expected a name"):
        load_credential(name, put("lab.password", SECRET), {})


def test_missing_credential_names_directory(tmp_path):
    with pytest.raises(UnknownCredential, match=r"neither credentials\.directory nor") as caught:
        load_credential("lab", None, {})
    assert caught.value.name == "lab"
    with pytest.raises(UnknownCredential, match=f"no lab.password in {tmp_path}"):
        load_credential("lab", tmp_path, {})
    with pytest.raises(UnknownCredential, match="No such file"):
        load_credential("lab", tmp_path / "none", {})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601])
@pytest.mark.parametrize("kind", ["username", "password"])
def test_file_open_to_others_is_refused(put, kind, mode):
    put("lab.password", SECRET)
    with pytest.raises(CredentialRefused, match=f"{kind} can be read by others"):
        load_credential("lab", put(f"lab.{kind}", SECRET, mode), {})


def test_systemd_access_list_is_accepted(put):
    directory = put("lab.password", SECRET, 0o440)
    environ = {"CREDENTIALS_DIRECTORY": str(directory)}
    assert load_credential("lab", None, environ).password == SECRET
    put("lab.password", SECRET, 0o444)
    with pytest.raises(CredentialRefused):
        load_credential("lab", None, environ)


def test_writable_directory_is_refused(put):
    directory = put("lab.password", SECRET)
    directory.chmod(0o770)
    with pytest.raises(CredentialRefused, match="can be written by others"):
        load_credential("lab", directory, {})


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a folder away")


@as_root
def test_directory_of_another_user_is_refused(put):
    directory = put("lab.password", SECRET)
    os.chown(directory, 4242, -1)
    with pytest.raises(CredentialRefused, match="belongs to uid 4242"):
        load_credential("lab", directory, {})


@as_root
def test_link_of_another_user_is_refused(put, tmp_path_factory):
    link = tmp_path_factory.mktemp("links") / "credentials"
    link.symlink_to(put("lab.password", SECRET))
    assert load_credential("lab", link, {}).password == SECRET
    os.chown(link, 4242, -1, follow_symlinks=False)
    with pytest.raises(CredentialRefused, match="belongs to uid 4242"):
        load_credential("lab", link, {})


@pytest.mark.parametrize("kind", ["username", "password"])
def test_link_outside_is_not_followed(put, tmp_path_factory, kind):
    outside = tmp_path_factory.mktemp("outside") / "private_key"
    outside.touch(0o600)
    outside.write_text(SECRET)
    directory = put("lab.password", SECRET)
    (directory / f"lab.{kind}").unlink(missing_ok=True)
    for target in (outside, os.path.relpath(outside, directory)):
        (directory / f"lab.{kind}").symlink_to(target)
        with pytest.raises(CredentialRefused, match="outside"):
            load_credential("lab", directory, {})
        (directory / f"lab.{kind}").unlink()


def test_link_inside_is_followed(put):
    directory = put("new.password", SECRET)
    (directory / "lab.password").symlink_to("new.password")
    assert load_credential("lab", directory, {}).password == SECRET


@pytest.mark.parametrize("kind", ["password", "username"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_irregular_file_is_refused_and_closed(put, tmp_path, make, kind):
    put("lab.password", SECRET)
    (tmp_path / f"lab.{kind}").unlink(missing_ok=True)
    make(tmp_path / f"lab.{kind}", 0o600)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(CredentialRefused, match="not a regular file"):
        load_credential("lab", tmp_path, {})
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"x" * 4097, "more than 4096 bytes"),
        (SECRET.encode() + b"\xff", "is not UTF-8"),
        (SECRET.encode() + b"\nsecond line", "control character"),
        (SECRET.encode() + b"\x1b", "control character"),
    ],
)
def test_invalid_content_is_never_shown(put, content, reason):
    with pytest.raises(CredentialRefused, match=reason) as caught:
        load_credential("lab", put("lab.password", content), {})
    assert SECRET not in "".join(traceback.format_exception(caught.value))
