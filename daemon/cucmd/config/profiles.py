"""PURE. The built-in profiles: which paths to collect for which kind of problem.

All paths are below `activelog` unless the profile says otherwise. A path that no document of the
vendor's is known to name is `unverified` (vos/NODES.md, section 7). A profile of the same name in
the configuration changes only the keys that it gives.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Struct
from msgspec.structs import replace

from cucmd.config import rules
from cucmd.config.keys import or_empty, text, text_or_texts, texts
from cucmd.job.duration import ALWAYS, USUAL_WRITTEN_FOR


class Profile(Struct, frozen=True):
    """A named collection. `last` ("2h") is the window if the request has none.

    written_for for how long one file of each path is written to, in their order ("1h", "always")
    products    which it fits, in the vendor's words; none: any with the same appliance shell
    leaves_out  what a person may expect in it, and where that is
    unverified  those of the paths that nodes need not have; where nothing comes of one, that is no
                note
    snapshot    commands are run at the end (`vos.SNAPSHOT`)
    """

    name: str
    description: Annotated[str, text(rules.description)] = ""
    paths: Annotated[tuple[str, ...], texts(rules.placed_path)] = ()
    location: Annotated[str, text(rules.location)] = "activelog"
    match: Annotated[str | None, text(or_empty(rules.argument, None))] = None
    recurs: bool = False
    compress: bool = False
    last: Annotated[str | None, text(or_empty(rules.last, None))] = None
    written_for: Annotated[tuple[str, ...], text_or_texts(rules.written_for)] = ()
    products: Annotated[tuple[str, ...], texts(rules.description)] = ()
    leaves_out: Annotated[str, text(rules.description)] = ""
    unverified: Annotated[tuple[str, ...], texts(rules.path)] = ()
    snapshot: bool = False


# For how long one file is written to, where it is not the usual hour: section 7.2 of vos/NODES.md
# says why. Too long a time costs files that are newer than the window, too short a one can cost the
# files that were asked for.
_WRITTEN_FOR = {
    # Few files, each for days, until it is rotated.
    "syslog/messages*": ALWAYS,
    "syslog/CiscoSyslog*": ALWAYS,
    "syslog/secure*": ALWAYS,
    "audit/AuditApp": ALWAYS,
    "audit/vos": ALWAYS,
    "cm/log/informix": ALWAYS,
    "platform/log": ALWAYS,
    "platform/snmp": ALWAYS,
    "platform/snmp/snmpdm": ALWAYS,
    "platform/snmp/hostagt": ALWAYS,
    "platform/snmp/mib2agt": ALWAYS,
    "platform/snmp/sappagt": ALWAYS,
    "platform/drf/trace": ALWAYS,
    "tomcat/logs": ALWAYS,
    "*": ALWAYS,  # of the location install
    # Of what happens seldom. The last two have no time stamps that would show a missing end.
    "cm/trace/cdrrep/log4j": "1d",
    "tomcat/logs/security/log4j": "1d",
    "tomcat/logs/axl/log4j": "1d",
    "tomcat/logs/ccmadmin/log4j": "1d",
    "tomcat/logs/epassoap/log4j": "1d",
    "epas/trace/cupicsa/log4j": "1d",
    "cm/log/ris/csv": "1d",
    "platform/cli/*.cap*": "1d",
}

# Paths that others have seen on nodes, or that are known from hearsay: section 7.3 of vos/NODES.md
# says which. Where a node has none of that name it says so, and the other paths are collected.
_UNVERIFIED = frozenset(
    {
        "uccx/log/MCLI",
    }
)


def written_for(paths: Iterable[str]) -> tuple[str, ...]:
    """What the built-in profiles say of these paths of a profile."""
    return tuple(_WRITTEN_FOR.get(path.strip("/"), USUAL_WRITTEN_FOR) for path in paths)


_CM = ("Unified CM",)

# Every profile has a window: traces of a busy node grow by gigabytes a day. Without one, a request
# without --last would collect for hours.
_BUILT_IN = (
    Profile(
        "callmanager",
        "Calls: CallManager and CTI signalling, call logs, the system's event log",
        (
            "cm/trace/ccm/sdl",
            "cm/trace/ccm/sdi",
            "cm/trace/ccm/calllogs",
            "cm/trace/cti/sdl",
            "syslog/CiscoSyslog*",
        ),
        last="2h",
        products=_CM,
        leaves_out=(
            "location bandwidth and intercluster lookup (intercluster), call detail records "
            "(cdr), web pages (tomcat), packet captures (packet-captures)"
        ),
    ),
    Profile(
        "sip",
        "SIP and other call signalling: CallManager SDL traces and call logs",
        ("cm/trace/ccm/sdl", "cm/trace/ccm/calllogs"),
        last="2h",
        products=_CM,
        leaves_out=(
            "SDI traces of older releases, CTI and the system's event log (callmanager), "
            "packet captures (packet-captures)"
        ),
    ),
    Profile(
        "cti",
        "CTI applications and JTAPI: CTIManager with the CallManager behind it",
        ("cm/trace/cti/sdl", "cm/trace/cti/sdi", "cm/trace/ccm/sdl"),
        last="2h",
        products=_CM,
        leaves_out=(
            "call logs and the system's event log (callmanager); what the application itself writes"
        ),
    ),
    Profile(
        "intercluster",
        "Between clusters: location bandwidth manager and intercluster lookup",
        ("cm/trace/lbm/sdl", "cm/trace/ils/sdl", "cm/trace/ccm/sdl"),
        last="2h",
        products=_CM,
        leaves_out=(
            "call logs and the system's event log (callmanager); the other cluster's traces"
        ),
    ),
    Profile(
        "event-viewer",
        "What the system itself reports: system, application and security logs",
        ("syslog/messages*", "syslog/CiscoSyslog*", "syslog/secure*"),
        last="1d",
        leaves_out="traces of any service",
    ),
    Profile(
        "performance",
        "RIS data collector and its PerfMon figures",
        ("cm/trace/ris/sdi", "cm/log/ris/csv"),
        last="1d",
        products=_CM,
        leaves_out="traces of the services that the figures are about",
    ),
    Profile(
        "database",
        "Database layer, Informix and replication",
        (
            "cm/trace/dbl/sdi",
            "cm/trace/dbl/*_repl_output_Broadcast.log",
            "cm/log/informix",
            "syslog/CiscoSyslog*",
        ),
        last="1d",
        products=_CM,
        leaves_out=(
            "traces of the services that use the database; the last synchronisation, where that "
            "was before the window; what `utils dbreplication runtimestate` prints (run)"
        ),
    ),
    Profile(
        "cdr",
        "Call detail records: the repository manager and the files it has processed",
        ("cm/trace/cdrrep/log4j", "cm/cdr_repository/processed"),
        recurs=True,  # the processed files are in a folder for each day
        last="1d",
        products=_CM,
        leaves_out="traces of the calls themselves (callmanager)",
    ),
    Profile(
        "tomcat",
        "Web pages, AXL and single sign-on: Tomcat and its applications",
        (
            "tomcat/logs",
            "tomcat/logs/security/log4j",
            "tomcat/logs/axl/log4j",
            "tomcat/logs/ccmadmin/log4j",
        ),
        last="4h",
        leaves_out="the database behind it (database), who changed what (audit)",
    ),
    Profile(
        "platform",
        "Platform command line and services, SNMP",
        (
            "platform/log",
            "platform/snmp/snmpdm",
            "platform/snmp/hostagt",
            "platform/snmp/mib2agt",
            "platform/snmp/sappagt",
        ),
        last="1d",
        leaves_out=(
            "backup and restore (drs-backup), installation and upgrades (install), the "
            "system's event log (event-viewer)"
        ),
    ),
    Profile(
        "drs-backup",
        "Backup and restore (DRS)",
        ("platform/drf/trace",),
        recurs=True,
        last="2d",
        leaves_out="the backups themselves",
    ),
    Profile(
        "im-presence",
        "IM and Presence: presence engine, XCP router, client profile and intercluster sync agent",
        (
            "epas/trace/epe/sdi",
            "epas/trace/xcp/log",
            "epas/trace/cupicsa/log4j",
            "tomcat/logs/epassoap/log4j",
            "syslog/CiscoSyslog*",
        ),
        last="2h",
        products=("IM and Presence",),
        leaves_out="calls (callmanager, on the nodes of Unified CM), web pages (tomcat)",
    ),
    Profile(
        "unity-connection",
        "Unity Connection traces",
        ("cuc", "syslog/CiscoSyslog*"),
        last="2h",
        products=("Unity Connection",),
        leaves_out="calls (callmanager, on the nodes of Unified CM), web pages (tomcat)",
    ),
    Profile(
        "contact-center",
        "Contact Center Express: engine, administration, cluster view, Finesse, CUIC",
        (
            "uccx/log/MIVR",
            "uccx/log/MADM",
            "uccx/log/MCVD",
            "uccx/log/MCLI",
            "desktop",
            "cuic/logs/cuic",
            "cuic/logs/cuicsrvr",
        ),
        recurs=True,
        last="2h",
        products=("Contact Center Express",),
        leaves_out=(
            "CTI and calls (cti, on the nodes of Unified CM), the system's event log (event-viewer)"
        ),
    ),
    Profile(
        "emergency-responder",
        "Emergency Responder logs and traces",
        ("er/logs", "er/trace"),
        recurs=True,
        last="1d",
        products=("Emergency Responder",),
        leaves_out=(
            "calls (callmanager, on the nodes of Unified CM), the system's event log (event-viewer)"
        ),
    ),
    Profile(
        "audit",
        "Who changed what: application and platform audit logs",
        ("audit/AuditApp", "audit/vos"),
        last="1w",
        leaves_out="logins to the operating system (syslog/secure*, in event-viewer)",
    ),
    Profile(
        "packet-captures",
        "Captures made by utils network capture",
        ("platform/cli/*.cap*",),
        last="1d",
        leaves_out="traces of the calls in them (callmanager); it makes no capture",
    ),
    Profile(
        "core-files",
        "Core files of processes that crashed; they are large",
        ("core",),
        last="1w",
        leaves_out="traces of the process that crashed",
    ),
    Profile(
        "install",
        "Installation and upgrades",
        ("*",),
        location="install",
        last="4w",
        leaves_out="what the running system writes (platform, event-viewer)",
    ),
)

BUILT_IN: dict[str, Profile] = {
    profile.name: replace(
        profile,
        written_for=written_for(profile.paths),
        unverified=tuple(path for path in profile.paths if path in _UNVERIFIED),
    )
    for profile in _BUILT_IN
}
