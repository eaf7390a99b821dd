"""Which changed settings need a restart."""

import pytest

from cucmd.config import Config, load
from cucmd.service.current_config import lost_file, not_until_restart


@pytest.fixture
def loaded(tmp_path):
    """Returns a function that loads a text."""

    def _loaded(text=""):
        path = tmp_path / "cucmd.toml"
        path.write_text(text)
        return load(path, {})

    return _loaded


@pytest.mark.parametrize(
    ("text", "waiting"),
    [
        ("", ()),
        ('[receiver]\nlisten = "127.0.0.1:2222"', ("receiver.listen",)),
        # each job uses the configuration at its start
        ('[receiver]\nadvertise = "192.0.2.5"', ()),
        ('[daemon]\nstate_directory = "/x"', ("daemon.state_directory",)),
        ("[retention]\ndays = 3", ()),
        ("[limits]\njobs = 3\nwatchers_per_uid = 3", ("limits.watchers_per_uid",)),
        ("[access]\noperate_group = 'phones'", ("access.operate_group of the socket",)),
        ("[access]\noperate_group = ''", ("access.operate_group of the socket",)),
        ("[access]\nview_group = 'phones'", ("access.view_group of the socket",)),
        ("[access]\nmay_speak_for = ['0']", ()),
        ("[ssh]\nlegacy_algorithms = true", ("legacy_algorithms of the receiver",)),
    ],
)
def test_settings_that_need_a_restart(loaded, text, waiting):
    assert not_until_restart(loaded(), loaded(text)) == waiting


def test_reload_needs_the_file(loaded):
    """Without its file, the daemon would forget all clusters."""
    without = Config(origin="no configuration file")
    assert str(loaded().origin) in lost_file(loaded(), without)
    assert lost_file(loaded(), loaded("[clusters.a]\nnodes = ['b']")) is None
    assert lost_file(without, loaded()) is None


def test_groups_of_inherited_socket(loaded):
    groups = "[access]\noperate_group = 'phones'\nview_group = 'faxes'\n"
    later = loaded(f"{groups}[receiver]\nlisten = '127.0.0.1:2222'")
    waiting = not_until_restart(loaded(), later, socket_is_inherited=True)
    assert waiting == ("receiver.listen",)
