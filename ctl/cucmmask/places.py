"""Lists where traces of CUCM hold what is to be masked, and what kind of thing is there.

The places were read in published traces, foremost in Cisco's document 200788, whose author masked
the dotted addresses by hand and left all other forms of them.

`PARTS` finds places in a word of a line (text without a blank). `SPANS` finds places that contain
blanks, or are named by words before them.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Kind(StrEnum):
    """What is masked. The report counts by kind."""

    ADDRESS = "addresses"
    MAC = "MAC addresses"
    NUMBER = "numbers"
    NAME = "names and users"
    HOST = "hosts and domains"
    DEVICE = "device names"
    PARTITION = "partitions and search spaces"
    CLUSTER = "cluster ids"
    WORD = "your own words"
    LABEL = "labels"


# Names with fewer letters, and numbers with fewer digits, are masked only in the places below.
LEAST_LETTERS = 5
LEAST_DIGITS = 6

_NUMBERS = """
    fqcn cn dd digits pattern remdest cnumber dn linedn dialednumber resdevnum postcallsurveydn
    callingparty calledparty callingpartynumber calledpartynumber pretransformcallingpartynumber
    pretransformcalledpartynumber originalcallingpartynumber originalcalledpartynumber
    finalcalledpartynumber lastredirectdn fullyqualifiedcalledpartynumber
    dialingpattern dialingpatternregularexpression dialingroutepatternregularexpression
    pretransformdigitstring pretransformpositionalmatchlist collecteddigits unconsumeddigits
    positionalmatchlist voicemailbox voicemailpilotnumber callednumber callingnumber
    x-nearendaddr x-farendaddr x-cisco-callback-number x-cisco-number
    originalcalledparty lastredirectingparty redirectingparty callback mwinumber
    cgpn cdpn cgpat cdpat lrpat opat itrpat prexposmatchlist posmatches mdialeddigits digit
    cgpnvm cdpnvmbox ocdpnvm cgpnvmbx cgpnvoicemailbox cdpnvoicemailbox originalcdpnvoicemailbox
    lastredirectingvoicemailbox mobilepartynumber mobcalptynum mcallerid redirectnumber
    called calling dirnumber linedirnumber directorynumber directorynum primaryextension
    telephonenumber mobile homenumber e164mask callforwarddestination forwarddestination
    dnorpattern huntpilotdn huntpilotpattern outpulsedcallingpartynumber
    outpulsedcalledpartynumber outpulsedoriginalcalledpartynumber outpulsedlastredirectingnumber
"""
_NAMES = """
    userid user username enduser appuser loginuserid agentid alertingname displayname
    unicodedisplayname callingpartyname calledpartyname callername originalcalledpartyname
    lastredirectingpartyname callinguserid calleduserid loginid callingusr unicodename
    mcallername mdisplayname fullname firstname lastname givenname samaccountname mailid
    display displayascii asciialertingname asciidisplay owneruserid ownerusername ssousername
    remoteuser callingpartyunicodeloginuserid finalcalledpartyunicodeloginuserid
    description
"""
_DEVICES = """
    devicename devname device name x-nearenddevice x-farenddevice regiona regionb region1 region2
    region location mrgl mrglname trunkname origdevicename destdevicename devicepool
    +u.sip!devicename.ccm.cisco.com cgptydev farenddevicename mobiledevname
    origemcccallingdevname devicepoolname locname locationname regionname
"""
_PARTITIONS = """
    pss todfilteredpss partition dialingpartition mprimarypartition css callingsearchspace
    voicemailcallingsearchspace primarypartition
    callingpartynumberpartition finalcalledpartynumberpartition originalcalledpartynumberpartition
    lastredirectdnpartition huntpilotpartition directorynumpartition routepartitionname
    callingsearchspacename cgpart cdpart lrpart opart itrpart
"""
_CLUSTERS = "x-nearendclusterid x-farendclusterid clusterid remoteclusterid globalcallid_clusterid"
_HOSTS = "hostname nodename host nodeid server servername processnodename"
# The name of a field, in lower case -> the kind of its value.
FIELDS: dict[str, Kind] = {
    name: kind
    for kind, names in (
        (Kind.NUMBER, _NUMBERS),
        (Kind.NAME, _NAMES),
        (Kind.DEVICE, _DEVICES),
        (Kind.PARTITION, _PARTITIONS),
        (Kind.CLUSTER, _CLUSTERS),
        (Kind.HOST, _HOSTS),
    )
    for name in names.split()
}

_HEX = "[0-9a-f]"
# The names of groups say what `MaskedText` does with a match.
PARTS = re.compile(
    rf"""
    # Cisco-Guid of CUCM: the last group is the address, its bytes reversed, in decimal
      (?<!\d)\d{{10}}-(?P<guid>\d{{10}})-\d{{10}}-(?P<guid_address>\d{{10}})(?!\d)
    # CUCM's Call-ID: the last group is the address, its bytes reversed
    | (?<![0-9a-f-]){_HEX}{{5,8}}-{_HEX}{{6,8}}-{_HEX}{{1,7}}-(?P<call>{_HEX}{{6,8}})(?![0-9a-f-])
    # the Call-ID of a phone begins with its MAC, and so does its tag
    | (?<![0-9a-f-])(?P<phone>{_HEX}{{8}}-{_HEX}{{4}}){_HEX}{{4}}-{_HEX}{{8}}-{_HEX}{{8}}(?=@|$)
    | (?<![0-9a-f])(?P<tag>{_HEX}{{12}}){_HEX}{{12}}(?:-{_HEX}{{8}})?(?![0-9a-f-])
    # the Session-ID of a phone ends with its MAC
    | (?<![0-9a-f]){_HEX}{{8}}00105000a000(?P<session>{_HEX}{{12}})(?![0-9a-f])
    | (?<![A-Za-z0-9])(?i:SEP|ATA|VGC|BAT)(?P<sep>[0-9A-Fa-f]{{12}})(?![0-9A-Za-z])
    | (?<![0-9A-Fa-f.:-])(?P<mac>[0-9A-Fa-f]{{2}}(?P<sign>[:-])[0-9A-Fa-f]{{2}}
        (?:(?P=sign)[0-9A-Fa-f]{{2}}){{4}}|[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}})
        (?![0-9A-Fa-f:-]|\.[0-9A-Fa-f])
    # StationD: 8 digits, or 32 of which an IPv4 address leaves 24 zero
    | ip(?:v[46])?Addr(?:ess)?:0x(?P<hex>[0-9A-Fa-f]{{32}}|[0-9A-Fa-f]{{8}})(?![0-9A-Fa-f])
    | (?i:ipaddr(?:ess)?)=(?:0x)?(?P<reversed>[0-9a-f]{{7,8}})(?![0-9a-f.:-])
    | (?<![0-9.A-Za-z_])(?P<dotted>\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}})(?!\.?\d|[A-Za-z])
    | (?<![0-9A-Za-z:.])(?P<colons>[0-9A-Fa-f]{{0,4}}:(?:[0-9A-Fa-f]{{0,4}}:){{1,6}}
        (?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}|[0-9A-Fa-f]{{0,4}}))(?![0-9A-Za-z:])
    | (?i:(?<!\w)(?:sips?|tel|h323):)(?P<user>[^@:<>"\s/]++)(?=@|:[^@:]*@)
    | (?i:(?<!\w)tel:)(?P<tel>[^@:<>"\s\1\2/]+)
    | (?<![\w.+-])(?P<mail>[\w+][\w.+-]*+)(?=@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{{2,}})
    | (?i:@|(?<!\w)sips?:)(?P<host>(?!\d+\.\d+\.\d+\.\d+(?![\w.-]))[A-Za-z0-9][\w-]*(?:\.[\w-]+)*)
    # devices of Jabber are named after their users; CSF and the like stay
    | (?<![A-Za-z0-9])(?:TCT|BOT|CSF|TAB)(?!LES?\b|LET|H\b|TOM)(?P<of_user>[A-Z0-9][A-Z0-9._-]*)
    | (?P<field>[A-Za-z+][\w.!-]*+)(?:=|:(?=["\[(]))(?P<value>"[^"]*"?|'[^']*'?
        |(?:[^\s\1\2"'<>&,;|^\[\]{{}}]++|(?<=\w)'(?=\w)|\[[^\s\1\2"'<>&,;|^\[\]{{}}=]*+\])*+)
    # the number of a party in a signal of call control: `cgpn=tn=0npi=0ti=1nd=2161pi=1si1`
    | \dnd=(?P<party>[+\d*\#]+)
    | (?P<run>\w++(?:[.-]\w++)*+)
    """,
    re.VERBOSE,
)


class Span:
    """A place that a word alone does not show.

    trigger  a text without which the place is not there; looking for it is fast, and faster if many
             spans have the same trigger
    pattern  its last group is what is masked
    kind     None: the pattern has a group `field`, and the kind is that of this field
    """

    def __init__(self, trigger: str, pattern: str, kind: Kind | None) -> None:
        self.trigger = trigger
        self.pattern = re.compile(pattern, re.MULTILINE)
        self.kind = kind


# A value with blanks, up to the end of the column or the next field.
_TO_NEXT = r"([^|\r\n,;=\]]{0,200} [^|\r\n,;=\]]{0,200}?)\s{0,99}(?:[|,;\]]|$)"
_TO_QUOTE = r"([^'\r\n]{1,200})'"
SPANS = (
    Span("sip", r'"([^"\r\n]{1,200})" ?<sips?:', Kind.NAME),
    Span('ss="', r'ss="([^"\r\n]{0,4000} [^"\r\n]{0,4000})"', Kind.PARTITION),
    Span('ss= "', r'ss= "([^"\r\n]{1,4000})"', Kind.PARTITION),
    Span("SpaceString(", r"SpaceString\(([^)\r\n]{1,4000})\)", Kind.PARTITION),
    Span("Partition=", r"Partition=" + _TO_NEXT, Kind.PARTITION),
    Span("SearchSpace=", r"SearchSpace=" + _TO_NEXT, Kind.PARTITION),
    Span("Name=", r"Name=(?<=(?:rty|lay|ing|ler)Name=)" + _TO_NEXT, Kind.NAME),
    Span("Name='", r"Name='" + _TO_QUOTE, Kind.NAME),
    Span("Label='", r"Label='" + _TO_QUOTE, Kind.NAME),
    # signals of call control, in which a name ends where the next field begins
    Span("UnicodeName: ", r" Name: {1,2}(\S.{0,99}?) {1,2}UnicodeName: ", Kind.NAME),
    Span("UnicodeName: ", r"UnicodeName: (\S.{0,99}?) {1,2}\w+[:=]", Kind.NAME),
    Span("RawUrl=", r"mDisplayName=(.{1,99}?)RawUrl=", Kind.NAME),
    Span("RawUrl=", r"User=([^=\s]{1,99})Host=[^=\s]*Port=\d*PassWord=", Kind.NUMBER),
    Span("RawUrl=", r"Host=([^=\s]{1,99})Port=\d*PassWord=", Kind.HOST),
    Span("LatentCaps=", r"mCallerName=(.{1,99}?)LatentCaps=", Kind.NAME),
    # the device that caused a signal: "|1,200,13,85.12^10.1.2.3^LCP_1 |"
    Span("^", r"\^((?!SEP[0-9A-F]{12})[A-Za-z][\w.-]{0,63}) *\|", Kind.DEVICE),
    Span(" capCount=", r"region=([^=\r\n]{1,99}) capCount=", Kind.DEVICE),
    Span("User", r"User ?I[Dd] ?[:=] ?([^\s,;|\[\]]+)", Kind.NAME),
    Span("Description=", r"\[Description=([^\]\r\n]{1,200})\]", Kind.NAME),
    Span("Node ID", r"Node ID ?[:=] ?([\w.-]+)", Kind.HOST),
    Span("Cluster ID", r"Cluster ID ?[:=] ?(?!Node)([\w.-]+)", Kind.CLUSTER),
    Span("Host", r"Host ?Name *[:=] *([^\s,;|\]]+)", Kind.HOST),
    Span("Domain", r"^Domain +: ([\w.-]+)", Kind.HOST),
    Span("Warning: ", r'Warning: \d{3} ([\w.-]+)(?::\d+)? "', Kind.HOST),
    Span(" local7 ", r"^[A-Z][a-z]{2} [ \d]\d [\d:]{8} ([\w.-]+) ", Kind.HOST),
    Span(" local7 ", r" : \d+: ([A-Za-z][\w.-]+)[: ]", Kind.HOST),
    Span(" DB", r"^\S+ ([\w.-]+) [\w.-]+ (?:Pub|Sub)[a-z]+ (?:callmanager|cups) DB", Kind.HOST),
    Span(" DB", r"^\S+ [\w.-]+ ([\w.-]+) (?:Pub|Sub)[a-z]+ (?:callmanager|cups) DB", Kind.HOST),
    Span("Detailed View", r"Detailed View from ([\w.-]+) \(", Kind.HOST),
    Span("(g_", r"^([\w.-]+) +[\d.]+ +[\d.]+ .*\(g_\d+\)", Kind.HOST),
    Span('"\\\\', r'"\\\\([\w.-]+)\\', Kind.HOST),  # a counter of a node: "\\ucm1\Processor(0)"
    Span(
        '] "', r"^[^\s\[\]]+ \S+ ([^\s\[\]-]\S*) \[\d+/[A-Z][a-z]{2}/\d+:", Kind.NAME
    ),  # of Tomcat
    Span("cucm-uds/", r"cucm-uds/user/([^/?\s]+)", Kind.NAME),
    Span("ssword for ", r"ssword for (?:invalid user )?(\S+) from ", Kind.NAME),
    Span(" sudo: ", r" sudo: +(\S+) : ", Kind.NAME),
    Span(
        "est",
        r"est(?:(?<=remdest)|ination(?<=Remote Destination)) \[?(\+?\d+)",
        Kind.NUMBER,
    ),
    Span("remdest", r"cnumber = (\+?\d+)", Kind.NUMBER),
    Span('cn= "', r'cn= "([^"\s]+)', Kind.NUMBER),
    Span('dd= "', r'dd= "([^"\s]+)', Kind.NUMBER),
    Span("arty= ", r"arty= (\+?[\d*#]+)", Kind.NUMBER),
    Span("local pattern ", r"local pattern (\S+) ,", Kind.NUMBER),
    Span("Dn = ", r"\bDn = ([\dX*#+.]+)", Kind.NUMBER),
    Span("Number i =", r"Number i = [^'\r\n]{0,40}'([^'\r\n]+)'", Kind.NUMBER),
    Span("e164 :", r'e164 : "([^"\r\n]+)"', Kind.NUMBER),
    Span("edDigits :", r'ialedDigits : "([^"\r\n]+)"', Kind.NUMBER),
    Span("h323-ID :", r'h323-ID : \{?"([^"\r\n]+)"', Kind.NAME),
    Span("kpButton", r"kpButton[:=] ?([0-9])(?!\d)", Kind.NUMBER),
    Span("ignal=", r"^Signal= ?([0-9])(?!\d)", Kind.NUMBER),
    Span("Display=", r"\bDisplay= ?(\+?\d+)", Kind.NUMBER),
    # elements of XML, and members of JSON
    Span("</", r"<(?:\w+:)?(?P<field>\w+)(?: [^<>]*)?>([^<>]{1,200})</", None),
    Span('":', r'"(?P<field>\w+)" ?: ?"((?:[^"\\\r\n]|\\.){1,200})"', None),
    Span('":', r'"(?P<field>\w+)" ?: ?(\d+)', None),
)
# "TCPPid = [1.100.9.5]" is a process, and no address.
PROCESS = re.compile(r"TCPPid ?= ?\[(\d+\.\d+\.\d+\.\d+)\]")
# "myIP: e74610ac (172.16.70.231)": the bytes are reversed.
REVERSED_ADDRESS = re.compile(r"myIP: ([0-9a-f]{7,8}) \(")
# A sign in a parameter of a URI, as in `Refer-To: <sip:1@h?Replaces=1%40192.0.2.1%3Bto-tag%3D2>`.
ESCAPED = re.compile(r"(%[0-9A-Fa-f]{2})")
# Bytes in hexadecimal, and behind two blanks, in a dump, the same bytes as text.
DUMP_TRIGGER = re.compile(r" [0-9A-Fa-f]{2} [0-9A-Fa-f]{2} [0-9A-Fa-f]{2}(?![0-9A-Fa-f])")
DUMP = re.compile(
    r"(?<![0-9A-Fa-f])(?P<bytes>[0-9A-Fa-f]{2}(?: {1,2}[0-9A-Fa-f]{2}){3,}(?![0-9A-Fa-f]))"
    r"(?: {2,}\|?(?P<text>[!-~][ -~]*))?"
)
# What may be between two rows of one dump: an end of line, and where the row begins.
DUMP_GAP = re.compile(r"[| \t]*\r?\n[ \t]*(?:(?:0x)?[0-9A-Fa-f]{4,8}[: ][ \t]*)?")

# Words that CUCM, SIP and people who name partitions use. Outside of the places above they stay.
_WORDS = """
    about accept access account active address admin administrator agenda agent alert alerting
    allow allowed analog analysis announcement announcements announcer anonymous answer
    application applications attendant audio audit authenticated authorization auto
    autoregistration available backup band basic block blocked bridge broadcast built business
    busy button call callback called caller calling callmanager cancel center central change
    channel check cisco client close cluster codec collaboration collect common conf
    conference conferencing config connect connected connection console contact content
    control css cucm cupc customer daemon database date default delay deny desktop destination
    detail device devices dial dialed dialing digit digits direct directory disable disconnect
    display domain domestic emergency enable enabled encryption endpoint enterprise error
    event events example expires extended extension external failed failure false feature
    filter final first fixed forward forwarded from gateway gateways general global globalized
    group guest h323 hardphone held help hold home hosted hotline hub hunt inbound incoming
    info information install intercluster intercom interface internal international internet
    invalid invite jabber join label learned length level limit line lines link list local
    localhost location login logout long lookup loopback mailbox main manager manual master
    match media meeting member message messages messaging method mgcp mobile mobility mode
    model module monitor multi music name national network night node none normal notify null
    number numbers office offline online open operator options order outbound outgoing outside
    page pager paging park parked partition partitions party password pattern phantom phone
    phones pickup pilot place plan pool port presence primary private process profile protocol
    proxy pstn public publish publisher queue reason received reception recorder recording
    redirect refer region register registered registration reject rejected release remote
    reply request reserved reset resource response restricted result return rg ring ringing rl
    route router routing sccp screen search secondary secure security server service services
    session setup shared shift short silence simple single sip socket softphone source special
    specific speed standalone standalonecluster standard standby start started state station
    status stop stream subscribe subscriber subscribers supported switch system telephone
    telephony terminal test testing timeout timer toll trace trans transcoder transfer
    translation transport trk true trunk trunks type unavailable undefined unified unknown
    unregistered unrestricted update upgrade uri user users utils value vendor version video
    virtual voice voicemail waiting warning world zone
"""
VOCABULARY = frozenset(_WORDS.split())
# Domains that are no secret, and in which everything is part of a protocol.
PUBLIC_DOMAINS = ("cisco.com", "w3.org", "ietf.org", "oasis-open.org", "webex.com", "localdomain")
