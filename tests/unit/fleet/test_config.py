"""The files of hub and agent, and the targets in them."""

from pathlib import Path

import pytest

from cucmd.toml_file import ConfigError
from cucmfleet.config import load_agent, load_hub
from cucmfleet.main import hub

AGENT = f'site = "berlin"\nservers = ["tls://hub:4222"]\nsecret_key = "SU{"A" * 56}"\n'


def write(folder: Path, more: str) -> Path:
    file = folder / "cucmagent.toml"
    file.write_text(AGENT + more)
    return file


def test_targets_are_read(tmp_path: Path) -> None:
    more = '[targets.archive]\nurl = "https://me@h/"\ntoken_file = "/etc/token"\nmask = "no"\n'
    target = load_agent(write(tmp_path, more)).targets["archive"]
    assert (target.token_file, target.mask) == ("/etc/token", "no")


@pytest.mark.parametrize(
    "target",
    [
        'url = "cxd"',  # each upload would have to be asked for a token
        'url = "https://h/"\nencrypt_with_password = true',
        'url = "https://h/?secret"',
        'url = "https://h/"\ntoken_file = "/etc/token"',
    ],
)
def test_target_without_its_secrets_is_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(ConfigError, match=r"targets\.a"):
        load_agent(write(tmp_path, f"[targets.a]\n{target}\n"))


@pytest.mark.parametrize("servers", ["[]", '["hub"]', '["tls://a:1", "http://b:1"]'])
def test_wrong_server_is_refused(tmp_path: Path, servers: str) -> None:
    file = tmp_path / "cucmhub.toml"
    file.write_text(f"servers = {servers}\n")
    with pytest.raises(ConfigError, match=r"servers.*: expected (at least one )?tls://"):
        load_hub(file)


def test_missing_reload_command_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cucmhub.toml"
    file.write_text(f'state_directory = "{tmp_path}/hub"\nreload_server = ["/no/such"]\n')
    assert hub(["site", "add", "berlin", "--config", str(file)]) == 0
    assert "has to read its users again" in capsys.readouterr().err
    assert hub(["site", "remove", "berlin", "--config", str(file)]) == 1  # the key still works


@pytest.mark.parametrize("key", ["ca", "socket", "state_directory"])
@pytest.mark.parametrize("path", ["", "relative", "/no\\u0000byte"])
def test_wrong_path_is_refused(tmp_path: Path, key: str, path: str) -> None:
    file = tmp_path / "cucmhub.toml"
    file.write_text(f'{key} = "{path}"\n')
    with pytest.raises(ConfigError) as refused:
        load_hub(file)
    assert refused.value.key == key


def test_missing_authority_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load_agent(write(tmp_path, f'ca = "{tmp_path}/ca.pem"\n'))
    assert (refused.value.key, refused.value.line) == ("ca", 4)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=str(tmp_path / "none")):
        load_agent(tmp_path / "none")


def test_missing_group_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "cucmhub.toml"
    file.write_text('[access]\noperate_group = "no-such-group"\n')
    load_hub(file)
    assert "access.operate_group" in caplog.text
