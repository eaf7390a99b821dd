"""The paths of the built-in profiles: a document has each, and the lab's nodes have its files.

What a profile is to have is written here by hand, from the documents. vos/NODES.md, section 7, says
which they are. None: no document that is known has the path, and the profile says so.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cucmd import vos
from cucmd.config import Profile
from cucmd.config.profiles import BUILT_IN
from cucmlab.files import EMPTY_FOLDER, Shape, files_of
from cucmlab.selection import CommandRefused, Get, select

NOW = datetime(2026, 8, 3, 12, 0, tzinfo=UTC)
NOTES = (Path(vos.__file__).parents[1] / "vos/NODES.md").read_text()

CLI, PARTITION, SEEN = "logs via the CLI", "common partition", "not recorded"
IMP, UCCX, CUIC = "IM and Presence guide", "logs of Contact Center Express", "logs of CUIC"
SDL = {"cm/trace/ccm/sdl": PARTITION}
CALLS = {**SDL, "cm/trace/ccm/calllogs": PARTITION}
APPLICATION_LOG = {"syslog/CiscoSyslog*": CLI}
EVENTS = {"syslog/messages*": CLI, **APPLICATION_LOG}
PERFORMANCE = {"cm/trace/ris/sdi": SEEN, "cm/log/ris/csv": IMP}
CDR_MANAGER = {"cm/trace/cdrrep/log4j": SEEN}
TOMCAT = {"tomcat/logs": CLI, "tomcat/logs/security/log4j": CLI}
AGENTS = ("snmpdm", "hostagt", "mib2agt", "sappagt")
DOCUMENTS: dict[str, dict[str, str | None]] = {
    "callmanager": {
        **CALLS,
        "cm/trace/ccm/sdi": PARTITION,
        "cm/trace/cti/sdl": PARTITION,
        **APPLICATION_LOG,
    },
    "sip": CALLS,
    "cti": {"cm/trace/cti/sdl": PARTITION, "cm/trace/cti/sdi": PARTITION, **SDL},
    "intercluster": {
        "cm/trace/lbm/sdl": PARTITION,
        "cm/trace/ils/sdl": "intercluster lookup",
        **SDL,
    },
    "event-viewer": {**EVENTS, "syslog/secure*": SEEN},
    "ntp": {"syslog/sd_ntp.log*": UCCX, **EVENTS},
    "performance": PERFORMANCE,
    "high-cpu": {
        **SDL,
        "cm/trace/ccm/sdi": PARTITION,
        **EVENTS,
        **PERFORMANCE,
        "cm/trace/amc/log4j": None,
        "cm/log/amc/AlertLog": None,
        **TOMCAT,
        "core": CUIC,
    },
    "certificates": {
        "cm/trace/capf/sdi": "release notes",
        "cm/trace/tvs/sdi": None,
        "platform/log": CLI,
    },
    "extension-mobility": {"tomcat/logs/em/log4j": None, "tomcat/logs/emapp/log4j": None, **SDL},
    "ldap": {"cm/trace/dirsync/log4j": None, "tomcat/logs/security/log4j": CLI},
    "media": {"cm/trace/cms/sdi": None, **SDL},
    "tftp": {"cm/trace/tftp/sdi": None, "cm/trace/ctftp/sdi": None},
    "ipma": {"tomcat/logs/ipma/log4j": "feature guide", "cm/trace/cti/sdl": PARTITION},
    "database": {
        "cm/trace/dbl/sdi": IMP,
        "cm/trace/dbl/*_repl_output_Broadcast.log": "migration guide",
        "cm/log/informix": UCCX,
        **APPLICATION_LOG,
    },
    "cdr": {**CDR_MANAGER, "cm/cdr_repository/processed": "command line guide"},
    "cdr-delivery": {"cm/cdr_repository/preserve": None, **CDR_MANAGER},
    "tomcat": {
        **TOMCAT,
        "tomcat/logs/axl/log4j": IMP,
        "tomcat/logs/ccmadmin/log4j": "feature guide",
    },
    "platform": {"platform/log": CLI, **{f"platform/snmp/{agent}": CLI for agent in AGENTS}},
    "drs-backup": {"platform/drf/trace": "administration guide", "platform/drf/log": UCCX},
    "im-presence": {
        "epas/trace/epe/sdi": IMP,
        "epas/trace/xcp/log": IMP,
        "epas/trace/cupicsa/log4j": IMP,
        "tomcat/logs/epassoap/log4j": IMP,
        **APPLICATION_LOG,
    },
    "im-presence-proxy": {
        "epas/trace/esp/sdi": IMP,
        "epas/trace/xcpconfigmgr/log4j": IMP,
        **APPLICATION_LOG,
    },
    "unity-connection": {"cuc": "Unity Connection guide", **APPLICATION_LOG},
    "contact-center": {
        "uccx/log/MIVR": UCCX,
        "uccx/log/MADM": UCCX,
        "uccx/log/MCVD": UCCX,
        "uccx/log/MCLI": None,
        "desktop": "logs of Finesse",
        "cuic/logs/cuic": CUIC,
        "cuic/logs/cuicsrvr": CUIC,
    },
    "emergency-responder": {
        "er/logs": "Emergency Responder guide",
        "er/trace": "Emergency Responder guide",
    },
    "audit": {"audit/AuditApp": SEEN, "audit/vos": SEEN},
    "packet-captures": {"platform/cli/*.cap*": CUIC},
    "core-files": {"core": CUIC},
    "install": {"*": CLI},
}
EVERY_PATH = [(profile, path) for profile in BUILT_IN.values() for path in profile.paths]
every_path = pytest.mark.parametrize(
    ("profile", "path"), EVERY_PATH, ids=[f"{profile.name} {path}" for profile, path in EVERY_PATH]
)


def test_each_profile_has_the_paths_that_the_documents_have() -> None:
    assert {name: set(profile.paths) for name, profile in BUILT_IN.items()} == {
        name: set(paths) for name, paths in DOCUMENTS.items()
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_profile_says_which_of_its_paths_no_document_has(name: str) -> None:
    unverified = {path for path, document in DOCUMENTS[name].items() if document is None}
    assert set(BUILT_IN[name].unverified) == unverified


def rows(section: str) -> list[list[str]]:
    """Reads the cells of the tables of a section of the notes."""
    text = NOTES.partition(f"# {section} ")[2].partition("\n#")[0]
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


@every_path
def test_the_notes_say_which_document_has_a_path(profile: Profile, path: str) -> None:
    document = DOCUMENTS[profile.name][path]
    if profile.location == "install":
        assert f"path `{path}` (V: {document})" in NOTES
        return
    named = rows("7.3") if document is None else rows("7.")
    found = [row for row in named if path in re.findall(r"`([^`]+)`", row[0])]
    assert len(found) == 1
    if document is not None:
        assert found[0][2] == document
        assert document in [row[0] for row in named]


def collected(profile: Profile, path: str) -> list[str]:
    """Lists the files of a node of the lab that `file get` of the path means, of whatever age."""
    files = files_of(profile.location, 1, Shape())
    try:
        found = select(files, Get(profile.location, path, recurs=profile.recurs), NOW)
    except CommandRefused:  # it has no such folder
        return []
    return [file.path for file in found]


@every_path
def test_the_lab_has_the_files_of_a_path_where_nodes_have_them(profile: Profile, path: str) -> None:
    missing = path in profile.unverified or (profile.location, path) == EMPTY_FOLDER
    assert bool(collected(profile, path)) != missing


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("platform", "platform/snmp/snmpdm/SnmpMasterAgt00074.log"),
        ("platform", "platform/snmp/hostagt/hostagt.log"),
        ("database", "cm/trace/dbl/20260717_164617_dbl_repl_output_Broadcast.log"),
        ("im-presence", "tomcat/logs/epassoap/log4j/EPASSoap00074.log"),
        ("contact-center", "uccx/log/MADM/Cisco001MADM074.log"),
        ("emergency-responder", "er/trace/dbl/sdi/dbmon00000074.txt"),
    ],
)
def test_a_profile_takes_the_files_where_nodes_have_them(name: str, file: str) -> None:
    profile = BUILT_IN[name]
    assert any(file in collected(profile, path) for path in profile.paths)
