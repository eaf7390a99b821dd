"""Lists where traces of CUCM hold what is to be masked, and what kind of thing is there.

The places were read in published traces, foremost in Cisco's document 200788, whose author masked
the dotted addresses by hand and left all other forms of them.

`PARTS` finds places in a word of a line (text without a blank). `SPANS` finds places that contain
blanks, or are named by words before them.
"""

from __future__ import annotations

import re
import string
from enum import StrEnum
from typing import NamedTuple


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
    SECRET = "passwords"  # noqa: S105  # no password


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
    mobilenumber speeddialnumber messagesnumber phonelabel clientmattercode
    confcontrollerdn confrequestordn origcalled lrp ocp connectedparty connectednumber
"""
_NAMES = """
    userid user username enduser appuser loginuserid agentid alertingname displayname
    unicodedisplayname callingpartyname calledpartyname callername originalcalledpartyname
    lastredirectingpartyname callinguserid calleduserid loginid callingusr unicodename
    mcallername mdisplayname fullname firstname lastname givenname samaccountname mailid
    display displayascii asciialertingname asciidisplay owneruserid ownerusername ssousername
    remoteuser callingpartyunicodeloginuserid finalcalledpartyunicodeloginuserid
    description label featurelabel linelabel asciilabel authname sshuserid manager
    authcodedescription department
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
_HOSTS = "hostname nodename host nodeid server servername processnodename ldapserver"
_SECRETS = """
    password passwd userpassword pin pwd passphrase sshpassword authpassword adminpassword
    ldappassword newpassword oldpassword authorizationcodevalue samlresponse
"""
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
        (Kind.SECRET, _SECRETS),
    )
    for name in names.split()
}

_HEX = "[0-9a-f]"
# The name of a group says what `Words` does with the match.
PARTS = re.compile(
    rf"""
    # most of the text: a word that does not go on with a sign, and is no device
      (?P<plain>(?!TCT|BOT|CSF|TAB|(?i:SEP|ATA|VGC|BAT)[A-Fa-f]{{12}}(?![0-9A-Za-z]))[A-Za-z_]++(?![\w.:=@!-]))
    | (?=[0-9A-Fa-f:])(?:
    # Cisco-Guid of CUCM: the last group is the address, its bytes reversed, in decimal
      (?<!\d)\d{{10}}-(?P<guid>\d{{10}})-\d{{10}}-(?P<guid_address>\d{{10}})(?!\d)
    # CUCM's Call-ID: the last group is the address, its bytes reversed
    | (?<![0-9a-f-]){_HEX}{{5,8}}-{_HEX}{{6,8}}-{_HEX}{{1,7}}-(?P<call>{_HEX}{{6,8}})(?![0-9a-f-])
    # the Call-ID of a phone begins with its MAC, and so does its tag
    | (?<![0-9a-f-])(?P<phone>{_HEX}{{8}}-{_HEX}{{4}}){_HEX}{{4}}-{_HEX}{{8}}-{_HEX}{{8}}(?=@|$)
    | (?<![0-9a-f])(?P<tag>{_HEX}{{12}}){_HEX}{{12}}(?:-{_HEX}{{8}})?(?![0-9a-f-])
    # the Session-ID of a phone ends with its MAC
    | (?<![0-9a-f]){_HEX}{{8}}00105000a000(?P<session>{_HEX}{{12}})(?![0-9a-f])
    | (?<![0-9A-Fa-f.:-])(?P<mac>[0-9A-Fa-f]{{2}}(?P<sign>[:-])[0-9A-Fa-f]{{2}}
        (?:(?P=sign)[0-9A-Fa-f]{{2}}){{4}}|[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}})
        (?![0-9A-Fa-f:-]|\.[0-9A-Fa-f])
    | (?<![0-9.A-Za-z_])(?P<dotted>\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}})(?!\.?\d|[A-Za-z])
    # an IPv6 address, perhaps with a port
    | (?<![0-9A-Za-z:.])(?P<colons>[0-9A-Fa-f]{{0,4}}:(?:[0-9A-Fa-f]{{0,4}}:){{1,6}}
        (?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?!\.?\d|[A-Za-z])
        |[0-9A-Fa-f]{{0,4}}(?![0-9A-Za-z:]|\.\d|:\d{{1,5}}(?![\w:.]))|[0-9A-Fa-f]{{1,4}}(?=:\d{{1,5}}(?![\w:.]))))
    # the number of a party in a signal of call control: `cgpn=tn=0npi=0ti=1nd=2161pi=1si1`
    | \dnd=(?P<party>[+\d*\#]+)
    )
    | [SAVBsavb](?<![A-Za-z0-9].)(?i:(?<=S)EP|(?<=A)TA|(?<=V)GC|(?<=B)AT)
        (?P<sep>[0-9A-Fa-f]{{12}})(?![0-9A-Za-z])
    # StationD: 8 digits, or 32 of which an IPv4 address leaves 24 zero
    | ip(?:v[46])?Addr(?:ess)?:0x(?P<hex>[0-9A-Fa-f]{{32}}|[0-9A-Fa-f]{{8}})(?![0-9A-Fa-f])
    | [Ii](?i:paddr(?:ess)?)=(?:0x)?(?P<reversed>[0-9a-f]{{7,8}})(?![0-9a-f.:-])
    | [SsTtHh](?<!\w.)(?i:(?<=s)ips?|(?<=t)el|(?<=h)323):(?P<user>[^@:<>"\s/?]++)(?=@|:[^@:]*@)
    | [Tt](?<!\w.)(?i:el):(?P<tel>[^@:<>"\s/]+)
    | (?<![\w.+-])(?P<mail>[\w+][\w.+-]*+)(?=@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{{2,}})
    | [@Ss/](?:(?<=@)|(?<=://)(?<!file://)|(?<=[Ss])(?<!\w.)(?i:ips?):)
        (?P<host>(?!\d+\.\d+\.\d+\.\d+(?![\w.-]))[A-Za-z0-9][\w-]*(?:\.[\w-]+)*)
    # devices of Jabber are named after their users; CSF and the like stay
    | [TBC](?<![A-Za-z0-9].)(?:(?<=T)CT|(?<=B)OT|(?<=C)SF|(?<=T)AB)
        (?!LES?\b|LET|H\b|TOM)(?P<of_user>[A-Z0-9][A-Z0-9._-]*)
    | (?P<field>[A-Za-z+][\w.!-]*+)(?:=|:(?=["\[(]))(?P<value>"[^"]*"?|'[^']*'?
        |(?:[^\s"'<>&,;|^\[\]{{}}]++|(?<=\w)'(?=\w)|\[[^\s"'<>&,;|^\[\]{{}}=]*+\])*+)
    | (?P<run>\w++(?:[.-]\w++)*+)
    """,
    re.VERBOSE,
)
# Each word with a place of PARTS has one of these signs, in lower case, or one of these shapes, in
# which h is a hexadecimal digit.
SIGNS = {
    *("@", "://", "sip:", "sips:", "tel:", "nd=", "addr:0x", "address:0x", "ipaddr=", "ipaddress="),
    *("tct", "bot", "csf", "tab", ':"', ":[", ":("),
    *(f"{field}=" for field in FIELDS),
}
SHAPES = {
    *(f".{'h' * size}." for size in (1, 2, 3)),  # an IPv4 address
    *("::h", "h::", *(f":{'h' * one}:{'h' * two}:" for one in range(1, 5) for two in range(1, 5))),
    *("hh:hh:hh:hh", "hh-hh-hh-hh", "hhhh.hhhh.hhhh"),  # a MAC address
    *(name + "h" * 12 for name in ("shp", "hth", "vgh", "hht")),  # SEP, ATA, VGC, BAT
    *("h" * 24, *(f"hhhhh-{'h' * size}-" for size in (6, 7, 8)), f"-{'h' * 10}-"),  # of a call
    *("hhh-hhh-hhhh", "hhh.hhh.hhhh"),  # a number as people write it
    "%hh",
}


IN_TEXT = ("</", "-----BEGIN ")


class Span(NamedTuple):
    """A place that a word alone does not show.

    trigger  a text in lower case; the pattern is tried only on lines with it. If this is empty, the
             pattern is tried on the whole text, because most lines have such a place. If this is
             in `IN_TEXT`, that is because such a place can have several lines
    pattern  its last group is what is masked
    kind     None: the pattern has a group `field`, and the kind is that of this field; without such
             a group, what is found stays
    """

    trigger: str
    pattern: re.Pattern[str]
    kind: Kind | None


# A value with blanks, up to the end of the column or the next field.
_TO_NEXT = (
    r"([^|\r\n,;=\]]{0,200} [^|\r\n,;=\]]{0,200}?[^|\s,;=\]])"
    r"(?:\s{0,99}(?:[|,;\]]|$)|\s{1,99}(?=\w+=))"
)
_TO_NEXT_OF_SUBJECT = r"([^,;/+|=\"\r\n\]]{1,99})(?:[,;/+|\"\r\n\]]|$)"
_TO_QUOTE = r"([^'\r\n]{1,200})'"
# Objects of Performance Monitor of which each instance has a name of the user's.
_COUNTED = "SIP|Lines|Phones|H323|Gatekeeper|(?:MGCP|Hunt|Locations)[\\w ]*|[\\w ]+ Device"
_UNQUOTED = r'^[ |]{0,3}[\w-]{1,40}: ?([^"<>:;=\r\n]{1,100}?) <(?:sips?|tel):'
SPANS = [
    Span(trigger, re.compile(pattern, re.MULTILINE), kind)
    for trigger, pattern, kind in (
        ("", r'"([^"\r\n]{1,200})" ?<sips?:', Kind.NAME),
        # a name without quotes
        *(
            (f"{sign} <{scheme}", _UNQUOTED, Kind.NAME)
            for sign in string.ascii_lowercase + string.digits
            for scheme in ("sip", "tel")
        ),
        # the device that caused a signal: "|1,200,13,85.12^10.1.2.3^LCP_1 |"
        ("", r"\^((?!SEP[0-9A-F]{12})[A-Za-z][\w.-]{0,63}) *\|", Kind.DEVICE),
        ('="', r'\b(?P<field>\w+)="([^" \r\n]{0,4000} [^"\r\n]{0,4000})"', None),
        ('ss= "', r'ss= "([^"\r\n]{1,4000})"', Kind.PARTITION),
        ("spacestring(", r"SpaceString\(([^)\r\n]{1,4000})\)", Kind.PARTITION),
        ("partition=", r"Partition=" + _TO_NEXT, Kind.PARTITION),
        ("searchspace=", r"SearchSpace=" + _TO_NEXT, Kind.PARTITION),
        ("name=", r"(?:rty|lay|ing|ler)Name=" + _TO_NEXT, Kind.NAME),
        ("name='", r"Name='" + _TO_QUOTE, Kind.NAME),
        ("label='", r"Label='" + _TO_QUOTE, Kind.NAME),
        # signals of call control, in which a name ends where the next field begins
        ("unicodename: ", r" Name: {1,2}(\S.{0,99}?) {1,2}UnicodeName: ", Kind.NAME),
        ("unicodename: ", r"UnicodeName: (\S.{0,99}?) {1,2}\w+[:=]", Kind.NAME),
        ("rawurl=", r"mDisplayName=(.{1,99}?)RawUrl=", Kind.NAME),
        ("rawurl=", r"User=([^=\s]{1,99})Host=[^=\s]*Port=\d*PassWord=", Kind.NUMBER),
        ("rawurl=", r"Host=([^=\s]{1,99})Port=\d*PassWord=", Kind.HOST),
        ("latentcaps=", r"mCallerName=(.{1,99}?)LatentCaps=", Kind.NAME),
        (" capcount=", r"region=([^=\r\n]{1,99}) capCount=", Kind.DEVICE),
        ("userid", r"User ?I[Dd] ?[:=] ?([^\s,;|\[\]]+)", Kind.NAME),
        ("user id", r"User ?I[Dd] ?[:=] ?([^\s,;|\[\]]+)", Kind.NAME),
        ("description=", r"\[Description=([^\]\r\n]{1,200})\]", Kind.NAME),
        ("node id", r"Node ID ?[:=] ?([\w.-]+)", Kind.HOST),
        ("cluster id", r"Cluster ID ?[:=] ?(?!Node)([\w.-]+)", Kind.CLUSTER),
        ("hostname", r"Host ?Name *[:=] *([^\s,;|\]]+)", Kind.HOST),
        ("host name", r"Host ?Name *[:=] *([^\s,;|\]]+)", Kind.HOST),
        ("domain", r"^Domain +: ([\w.-]+)", Kind.HOST),
        (" utctime=", r"^\S+ ([\w.-]+) (?:\w+(?:\[\d+\])?: )?UTCTime=", Kind.HOST),
        ("dns:", r"\bDNS:([\w.-]+)", Kind.HOST),
        ("warning: ", r'Warning: \d{3} ([\w.-]+)(?::\d+)? "', Kind.HOST),
        (" local7 ", r"^[A-Z][a-z]{2} [ \d]\d [\d:]{8} ([\w.-]+) ", Kind.HOST),
        (" local7 ", r"^[^%\r\n]{0,99}: \d+: ([A-Za-z][\w.-]+)[: ]", Kind.HOST),
        (" db", r"^\S+ ([\w.-]+) [\w.-]+ (?:Pub|Sub)[a-z]+ (?:callmanager|cups) DB", Kind.HOST),
        (" db", r"^\S+ [\w.-]+ ([\w.-]+) (?:Pub|Sub)[a-z]+ (?:callmanager|cups) DB", Kind.HOST),
        ("detailed view", r"Detailed View from ([\w.-]+) \(", Kind.HOST),
        ("(g_", r"^([\w.-]+) +[\d.]+ +[\d.]+ .*\(g_\d+\)", Kind.HOST),
        # a counter of a node: "\\ucm1\Processor(0)"
        ('"\\\\', r'"\\\\([\w.-]+)\\', Kind.HOST),
        # a counter of a device, a line or the like: "\\ucm1\Cisco SIP(Trunk-1)\CallsActive"
        ('"\\\\', rf"\\Cisco (?:{_COUNTED})\(([^()]+)\)", Kind.PARTITION),
        # Tomcat
        ('] "', r"^[^\s\[\]]+ \S+ ([^\s\[\]-]\S*) \[\d+/[A-Z][a-z]{2}/\d+:", Kind.NAME),
        ("users", r"[/\\]Users[/\\]+([^/\\\s\"']+)[/\\]", Kind.NAME),
        ("/home/", r"/home/([^/\s\"']+)", Kind.NAME),
        ("accountname", r"AccountName ?[:=] ?([^\s,;|\[\]]+)", Kind.NAME),
        ("login id", r"login id ?= ?([^\s,;|\[\]()]+)", Kind.NAME),
        ("%jtapi", r"\bP\d+-([^)\]\s]+)[)\]]", Kind.NAME),
        ("ou=", r"\b[Cc][Nn]=((?:[^,=\\\r\n]|\\.)+),(?:OU|CN|DC|ou|cn|dc)=", Kind.NAME),
        ("cucm-uds/", r"cucm-uds/user/([^/?\s]+)", Kind.NAME),
        ("ssword for ", r"ssword for (?:invalid user )?(\S+) from ", Kind.NAME),
        (" sudo: ", r" sudo: +(\S+) : ", Kind.NAME),
        ("remdest ", r"remdest \[?(\+?\d+)", Kind.NUMBER),
        ("remote destination ", r"Remote Destination \[?(\+?\d+)", Kind.NUMBER),
        ('cn= "', r'cn= "([^"\s]+)', Kind.NUMBER),
        ('dd= "', r'dd= "([^"\s]+)', Kind.NUMBER),
        ("arty= ", r"arty= (\+?[\d*#]+)", Kind.NUMBER),
        ("local pattern ", r"local pattern (\S+) ,", Kind.NUMBER),
        (" = ", r"\b(?P<field>\w+) = ([^\s,;|\[\](){}=]++(?: [^\s,;|\[\](){}=]++(?! ?=))*)", None),
        # MGCP: "ci(11/30/13/03,7735,"Jane Doe")", and the digits of an analog phone
        (" ci(", r" ci\([\d/]*,([^,)]+)", Kind.NUMBER),
        (" ci(", r' ci\([^"]*"([^"]+)"', Kind.NAME),
        ("o: d/", r"(?:^O: |(?<=\d),)[Dd]/(\d)", Kind.NUMBER),
        ("content='", r"(?:content|promptStatus)='[^'\d\r\n]{0,20}(\+?\d[\d*#]+)", Kind.NUMBER),
        ("number i =", r"Number i = [^'\r\n]{0,40}'([^'\r\n]+)'", Kind.NUMBER),
        ("e164 :", r'e164 : "([^"\r\n]+)"', Kind.NUMBER),
        ("eddigits :", r'ialedDigits : "([^"\r\n]+)"', Kind.NUMBER),
        ("h323-id :", r'h323-ID : \{?"([^"\r\n]+)"', Kind.NAME),
        ("kpbutton", r"kpButton[:=] ?([0-9])(?!\d)", Kind.NUMBER),
        ("signal=", r"^Signal= ?([0-9])(?!\d)", Kind.NUMBER),
        ("display=", r"\bDisplay= ?(\+?\d+)", Kind.NUMBER),
        ("display=", r"Display=" + _TO_NEXT, Kind.NAME),
        # elements of XML, and members of JSON
        ("</", r"<(?:\w+:)?(?P<field>\w+)(?: [^<>]*)?>([^<>]{1,200})</", None),
        ('":', r'"(?P<field>\w+)" ?: ?"((?:[^"\\\r\n]|\\.){1,200})"', None),
        ('":', r'"(?P<field>\w+)" ?: ?(\d+)', None),
        # the subject of a certificate: "L=Berlin, ST=BE, CN=ucm1, OU=Voice, O=Acme Corp, C=DE"
        *(
            (f"{sign}{field}=", rf"[,;/:] ?{field.upper()}={_TO_NEXT_OF_SUBJECT}", kind)
            for sign in (",", ", ", ";", "/", ": ")
            for field, kind in zip(
                ("o", "ou", "l", "st", "dc"), [Kind.NAME] * 4 + [Kind.HOST], strict=True
            )
        ),
        # numbers as people write them
        (
            "",
            r"(\+(?<!\w\+)(?:(?:\d{1,3}[ .(-]|[1-9]\d{3,4}[(-])[\d ().-]{5,18}\d|[1-9]\d{7,14}))"
            r"(?!\w)",
            Kind.NUMBER,
        ),
        ("", r"(\((?<!\w\()\d{3}\) \d{3}-\d{4})(?!\w)", Kind.NUMBER),
        ("basic ", r"Basic ([A-Za-z0-9+/]{6,}=*)", Kind.SECRET),
        ("bearer ", r"Bearer ([\w.~+/-]{6,}=*)", Kind.SECRET),
        ("eyj", r"\b(eyJ[\w-]{6,}(?:\.[\w-]*)*)", Kind.SECRET),  # a token in JSON: {"...
        ("inline:", r"\binline:([A-Za-z0-9+/]{16,}=*)", Kind.SECRET),  # a key of SRTP
        ("://", r"://[^\s/:@]{1,99}:([^\s/@]{1,99})@", Kind.SECRET),
        # certificates and keys, which have the names in base64
        ("-----BEGIN ", r"-----BEGIN [A-Z ]{1,40}-----([A-Za-z0-9+/=\s]{1,20000})", Kind.SECRET),
        ("callstate=", r"CallState=(\d+)-", Kind.NUMBER),
        # the version of a node is no address
        ("version", r"[Vv]ersion *[:=]? *(\d+(?:\.\d+){3})(?=[-\s])", None),
        # "TCPPid = [1.100.9.5]" is a process, and no address.
        ("tcppid", r"TCPPid ?= ?\[(\d+\.\d+\.\d+\.\d+)\]", None),
        # "myIP: e74610ac (172.16.70.231)": the bytes are reversed.
        ("myip: ", r"myIP: ([0-9a-f]{7,8}) \(", Kind.ADDRESS),
    )
]
# Words that CUCM, SIP and people who name partitions use. Outside of the places above they stay.
_WORDS = """
    about accept access account active activelog address admin
    administrator agenda agent alert alerting
    allow allowed analog analysis announcement announcements announcer anonymous answer
    application applications attendant audio audit authenticated authorization auto
    autoregistration available backup band basic block blocked bridge broadcast built business
    busy button call callback called caller calling callmanager cancel center central change
    channel check cisco client close cluster codec collaboration collect common conf
    conference conferencing config connect connected connection console contact content
    control css cucm cupc customer daemon database date default delay deny description desktop
    destination
    detail device devices dial dialed dialing digit digits direct directory disable disconnect
    display domain domestic emergency enable enabled encryption endpoint enterprise error
    event events example expires extended extension external failed failure false feature
    filter final first fixed forward forwarded from gateway gateways general global globalized
    group guest h323 hardphone held help hold home hosted hotline hub hunt inactivelog inbound
    incoming
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
    root route router routing sccp screen search secondary secure security server service services
    session setup shared shift short silence simple single sip socket softphone source special
    specific speed standalone standalonecluster standard standby start started state station
    status stop stream subscribe subscriber subscribers supported switch system telephone
    telephony terminal test testing tftp timeout timer toll tomcat trace trans transcoder transfer
    translation transport trk true trunk trunks type unavailable undefined unified unknown
    unregistered unrestricted update upgrade uri user users utils value vendor version video
    virtual voice voicemail waiting warning world zone
"""
VOCABULARY = frozenset(_WORDS.split())
# Domains that are no secret, and in which everything is part of a protocol.
PUBLIC_DOMAINS = (
    *("cisco.com", "webex.com", "localdomain", "w3.org", "ietf.org", "oasis-open.org"),
    *("xmlsoap.org", "apache.org", "java.sun.com", "jabber.org"),
)
