"""How what runs differs from the file, and which changed settings need a restart."""

import pytest

from cucmd.config import differences, not_until_restart, running


@pytest.mark.parametrize(
    ("text", "waiting"),
    [
        ("", ()),
        ('[receiver]\nlisten = "127.0.0.1:2222"', ("receiver.listen",)),
        # jobs are planned with the configuration as it is when they start
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
def test_what_needs_a_restart(loaded, text, waiting):
    assert not_until_restart(loaded(), loaded(text)) == waiting


def test_a_socket_that_systemd_made_has_the_group_of_its_unit_after_a_restart_too(loaded):
    groups = "[access]\noperate_group = 'phones'\nview_group = 'faxes'\n"
    later = loaded(f"{groups}[receiver]\nlisten = '127.0.0.1:2222'")
    waiting = not_until_restart(loaded(), later, socket_is_given=True)
    assert waiting == ("receiver.listen",)


CLUSTERS = "[clusters.a]\nnodes = ['10.0.0.1']\n[clusters.'b.1']\nnodes = ['10.0.0.2']\n"


@pytest.mark.parametrize(
    ("text", "differing"),
    [
        (CLUSTERS, ()),
        (f"[limits]\njobs = 3\n{CLUSTERS}", (("limits.jobs", "reload", "16", "3"),)),
        (
            f"[limits]\nfree_space_percent = 7\n{CLUSTERS}",
            (("limits.free_space_percent", "restart", "5", "7"),),
        ),
        (f"{CLUSTERS}command = 700", (('clusters."b.1".command', "reload", "600", "700"),)),
        (
            CLUSTERS.partition("[clusters.'b")[0],
            (('clusters."b.1"', "reload", '{nodes = ["10.0.0.2"]}', None),),
        ),
        (
            f"[access]\nmay_speak_for = ['root']\n{CLUSTERS}",
            (("access.may_speak_for", "reload", "[]", '["root"]'),),
        ),
        (
            f"{CLUSTERS}[profiles.sip]\nrecurs = true",
            (("profiles.sip.recurs", "reload", "false", "true"),),
        ),
        (
            f"{CLUSTERS}[credential.x]\nnodes = ['c']",
            (("credential.x", "reload", None, '{nodes = ["c"]}'),),
        ),
    ],
)
def test_what_differs_is_named_as_in_the_file_with_both_values(loaded, text, differing):
    ours = loaded(CLUSTERS)
    assert tuple(differences(ours, ours, loaded(text))) == differing


def test_a_cluster_whose_own_value_has_become_the_general_one_does_not_differ(loaded):
    own = f"{CLUSTERS}command = 700"
    ours, file = loaded(own), loaded(f"[timeouts]\ncommand = 700\n{own}")
    assert [name for name, *_ in differences(ours, ours, file)] == ["timeouts.command"]


def test_after_a_reload_only_what_needs_a_restart_differs_from_what_runs(loaded):
    at_start = loaded(CLUSTERS)
    now = loaded("[limits]\njobs = 3\nfree_space_bytes = 5\n[clusters.a]\nnodes = ['x']\n")
    waiting = ("limits.free_space_bytes", "restart", "1073741824", "5")
    assert list(differences(at_start, now, now)) == [waiting]
    limits = running(at_start, now)[("limits",)]
    assert (limits["jobs"], limits["free_space_bytes"]) == ("3", "1073741824")
    back = differences(at_start, now, at_start)  # the file is again as it was at the start
    assert "limits.free_space_bytes" not in [name for name, *_ in back]
