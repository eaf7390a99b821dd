"""PURE. Declares the built-in profiles: which paths to collect for which kind of problem.

All paths are below `activelog` unless the profile says otherwise. A path that no document of the
vendor's is known to name is `unverified` (vos/NODES.md, section 7).
"""

from __future__ import annotations

from msgspec.structs import replace

from cucmd.config.profiles import Profile, written_for

# Paths that others have seen on nodes, or that are known from hearsay: section 7.3 of vos/NODES.md
# says which. Where a node has none of that name it says so, and the other paths are collected.
_UNVERIFIED = frozenset(
    {
        "cm/trace/tvs/sdi",
        "cm/trace/cms/sdi",
        "cm/trace/tftp/sdi",
        "cm/trace/ctftp/sdi",
        "cm/trace/amc/log4j",
        "cm/log/amc/AlertLog",
        "cm/trace/dirsync/log4j",
        "cm/cdr_repository/preserve",
        "tomcat/logs/em/log4j",
        "tomcat/logs/emapp/log4j",
        "uccx/log/MCLI",
    }
)

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
        "ntp",
        "Time: the NTP client and the system's event logs",
        ("syslog/sd_ntp.log*", "syslog/messages*", "syslog/CiscoSyslog*"),
        last="1d",
        leaves_out="what `utils ntp status` prints (run), its packets (packet-captures)",
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
        "high-cpu",
        "High load and crashes: call processing, event logs, figures, Tomcat, core files",
        (
            "cm/trace/ccm/sdl",
            "cm/trace/ccm/sdi",
            "syslog/messages*",
            "syslog/CiscoSyslog*",
            "cm/trace/ris/sdi",
            "cm/log/ris/csv",
            "cm/trace/amc/log4j",
            "cm/log/amc/AlertLog",
            "tomcat/logs",
            "tomcat/logs/security/log4j",
            "core",
        ),
        last="2h",
        products=_CM,
        leaves_out=(
            "which process it is: `show process using-most cpu` (run); traces of other services"
        ),
    ),
    Profile(
        "certificates",
        "Certificates and trust: CAPF, trust verification, platform",
        ("cm/trace/capf/sdi", "cm/trace/tvs/sdi", "platform/log"),
        last="1d",
        products=_CM,
        leaves_out="the certificates themselves: `show cert list own` (run); web pages (tomcat)",
    ),
    Profile(
        "extension-mobility",
        "Extension mobility: logins of users on telephones",
        ("tomcat/logs/em/log4j", "tomcat/logs/emapp/log4j", "cm/trace/ccm/sdl"),
        last="4h",
        products=_CM,
        leaves_out="call logs (callmanager), other web applications (tomcat)",
    ),
    Profile(
        "ldap",
        "LDAP: synchronisation of users, and their authentication",
        ("cm/trace/dirsync/log4j", "tomcat/logs/security/log4j"),
        last="1d",
        products=_CM,
        leaves_out="other web applications (tomcat), the directory server's own logs",
    ),
    Profile(
        "media",
        "Music on hold, conferences, announcements: IP voice media streaming",
        ("cm/trace/cms/sdi", "cm/trace/ccm/sdl"),
        last="2h",
        products=_CM,
        leaves_out="call logs (callmanager), the media themselves (packet-captures)",
    ),
    Profile(
        "tftp",
        "Files that telephones load: TFTP",
        ("cm/trace/tftp/sdi", "cm/trace/ctftp/sdi"),
        last="2h",
        products=_CM,
        leaves_out="registration (callmanager), trust of telephones (certificates)",
    ),
    Profile(
        "ipma",
        "IP Manager Assistant",
        ("tomcat/logs/ipma/log4j", "cm/trace/cti/sdl"),
        last="4h",
        products=_CM,
        leaves_out="calls (callmanager); what the assistant's console itself writes",
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
        "cdr-delivery",
        "Call detail records that were not delivered, and the repository manager that sends them",
        ("cm/cdr_repository/preserve", "cm/trace/cdrrep/log4j"),
        recurs=True,  # a folder for each day
        last="1w",
        products=_CM,
        leaves_out="those that were delivered (cdr), the billing server's own logs",
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
        ("platform/drf/trace", "platform/drf/log"),
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
        "im-presence-proxy",
        "IM and Presence: SIP proxy and XCP configuration manager",
        ("epas/trace/esp/sdi", "epas/trace/xcpconfigmgr/log4j", "syslog/CiscoSyslog*"),
        last="2h",
        products=("IM and Presence",),
        leaves_out="presence engine and XCP router (im-presence)",
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
        leaves_out="traces of the process that crashed (high-cpu has those of CallManager)",
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
