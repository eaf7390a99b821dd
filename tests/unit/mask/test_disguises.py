"""The forms in which an original hides in traces of CUCM.

Cisco's document 200788 was masked by hand, and still contains the real address in each of the first
forms. Everything else in these lines is invented.
"""

import re
from ipaddress import IPv4Address
from urllib.parse import quote

import pytest

from cucmmask.masks import Masks
from cucmmask.originals import Originals
from cucmmask.places import Kind
from cucmmask.text import Text

MASKS = Masks(b"a key of the company")
# The node and the phone of all lines.
NODE = "14.48.32.90"
NODE_MASK = str(IPv4Address(MASKS.address(IPv4Address(NODE).packed)))
MAC, MAC_MASK = "38ed18552a12", MASKS.mac("38ed18552a12")
NUMBER, NUMBER_MASK = "9110001", MASKS.number("9110001")
EXTENSION, EXTENSION_MASK = "1000", MASKS.number("1000")
DUMPED = MASKS.number("2006")
HEX = bytes(map(int, NODE_MASK.split("."))).hex()
REVERSED = bytes.fromhex(HEX)[::-1].hex()


def mask(text: str) -> str:
    """Masks a text of which only itself is known."""
    collected = Text(MASKS)
    collected.collect(text)
    return Text(MASKS, collected.found).mask(text)


@pytest.mark.parametrize(
    ("before", "original", "mask_of_it", "after"),
    [
        # a node's address
        ("HostIPAddress: ", NODE, NODE_MASK, ", AppStartTime"),
        ("HostIPAddress: ::ffff:", NODE, NODE_MASK, ", AppStartTime"),
        ("::ffff:", "e30:205a", f"{HEX[:4]}:{HEX[4:]}".removeprefix("0"), ""),
        ("myIP: IpAddr.type:0 ipv4Addr:0x", "0e30205a", HEX, "(0.0.0.0)"),
        ("ipAddr:0x", "0e30205a", HEX, "000000000000000000000000 Port=17996"),
        ("Refer-To: <sip:localhost?Replaces=1%40", NODE, NODE_MASK, "%3Bto-tag%3D1>"),
        ("Call-ID: abbb8e00-4291f775-204c-", "5a20300e", REVERSED, "@localhost"),
        ("Join: abbb8e00-4291f775-100267-", "5a20300e", REVERSED, "@localhost;from-tag=1"),
        (
            "Cisco-Guid: 2881195520-0000065536-0000000011-",
            "1512058894",
            f"{int(REVERSED, 16):010}",
            "",
        ),
        ("tcpHandle=0x5138d98 myIP: ", "5a20300e", REVERSED, " (host)"),
        ("Status=0, IpAddr=0x", "5a20300e", REVERSED, ", Port=17054"),
        ("sapi= 0 IpAddr=", "5a20300e", REVERSED, " IpPort=47110"),
        ("MediaAck ipv4=", NODE, NODE_MASK, ":5060 dscp"),
        ("|2,100,14,8384.91^", NODE, NODE_MASK, "^* |[R:N-H:0]"),
        ("o=CiscoSystemsCCM-SIP 73601 1 IN IP4 ", NODE, NODE_MASK, ""),
        ("UDP message to ", NODE, NODE_MASK, ":[5060]:"),
        # a phone's MAC
        ("|2,100,14,8384.91^*^SEP", MAC.upper(), MAC_MASK.upper(), " |"),
        ("x-nearenddevice=sep", MAC, MAC_MASK, ";x-refci=1"),
        ("Device ATA", "AABBCCDDEEFF", MASKS.mac("aabbccddeeff").upper(), " unregistered"),
        ("Session-ID: 1001532000105000a000", MAC, MAC_MASK, ";remote=0"),
        (
            "Call-ID: ",
            "38ed1855-2a12",
            f"{MAC_MASK[:8]}-{MAC_MASK[8:]}",
            "0006-78c34baf-1b81d864@localhost",
        ),
        ("tag=", MAC, MAC_MASK, "296c00ff41e8-5fb7856e"),
        ("Replaces=1%40localhost%3Bfrom-tag%3D", MAC, MAC_MASK, "296c02268510>"),
        ('devicename.ccm.cisco.com="SEP', MAC.upper(), MAC_MASK.upper(), '"'),
        ("arp ", "38:ed:18:55:2a:12", bytes.fromhex(MAC_MASK).hex(":"), ""),
        # a number
        ('match(pi="2", fqcn="', NUMBER, NUMBER_MASK, '", plv="5"'),
        ('cn="', EXTENSION, EXTENSION_MASK, '",plv="5"'),
        ('fqcn="', "+14085251000", MASKS.number("+14085251000"), '", cn="'),
        ('dd="', "3", MASKS.number("3"), '",dac="0"'),
        ('dd="', "33", MASKS.number("33"), '",dac="0"'),
        ('dd="', "333", MASKS.number("333"), '",dac="0"'),
        ("|CallingPartyNumber=", EXTENSION, EXTENSION_MASK, ""),
        ("||PretransformCallingPartyNumber=", EXTENSION, EXTENSION_MASK, ""),
        ("|DialingPattern=", EXTENSION, EXTENSION_MASK, ""),
        ("|DialingPatternRegularExpression=(", NUMBER, NUMBER_MASK, ")"),
        ("Partition=[] Pattern=[", EXTENSION, EXTENSION_MASK, "] Where=[]"),
        ("Matching Legacy Numeric, digits=", EXTENSION, EXTENSION_MASK, ""),
        ("getDaRes - Remote Destination [", EXTENSION, EXTENSION_MASK, "] isURI[0]"),
        ("INVITE sip:", EXTENSION, EXTENSION_MASK, "@localhost;user=phone SIP/2.0"),
        ("From: <sip:+", NUMBER, NUMBER_MASK, "@localhost>;tag=1"),
        ("tel:+", NUMBER, NUMBER_MASK, ";phone-context=x"),
        ("x-refci=1;x-nearendaddr=", EXTENSION, EXTENSION_MASK, ";x-farend"),
        ("x-cisco-callback-number=", EXTENSION, EXTENSION_MASK, ">;party=calling"),
        ("KeypadButtonMessageID kpButton: ", "3", MASKS.number("3"), ""),
        ("cgpn=tn=0npi=0ti=1nd=", EXTENSION, EXTENSION_MASK, "pi=1si1 cgpnVM="),
        ("DD=tn=0npi=1ti=1nd=", EXTENSION, EXTENSION_MASK, "Host=Port=0PassWord=Madder=RawUrl="),
        ("DD=ti=1User=", EXTENSION, EXTENSION_MASK, "Host=Port=0PassWord=Madder=RawUrl=x"),
        ("cdPart= cdPat=", EXTENSION, EXTENSION_MASK, " LRPart="),
        ("callingParty='", EXTENSION, EXTENSION_MASK, "' cgpnVoiceMailbox="),
        ("unModCallingParty= ", EXTENSION, EXTENSION_MASK, " unModCallingPartyName="),
        ('match(fqcn= "', EXTENSION, EXTENSION_MASK, '" , pss= "" , dd= "" )'),
        ("callInfo={called=", EXTENSION, EXTENSION_MASK, ", calling="),
        ("Digit=", "8", MASKS.number("8"), " CI=31614360Line=1"),
        ("Calling Party Number i = 0x0081, '", EXTENSION, EXTENSION_MASK, "'"),
        ('e164 : "', EXTENSION, EXTENSION_MASK, '"'),
        ('{"directoryNumber": "', EXTENSION, EXTENSION_MASK, '", "line": 1}'),
        ('{"callingPartyNumber": ', EXTENSION, EXTENSION_MASK, "}"),
        ("<pattern>", EXTENSION, EXTENSION_MASK, "</pattern><line>1</line>"),
        ("call ", "+1 (408) 525-1000", MASKS.number("+1 (408) 525-1000"), " now"),
        ("call ", "+1408-525-1000", MASKS.number("+1408-525-1000"), ""),
        ("call ", "+1.408.525.1000", MASKS.number("+1.408.525.1000"), ""),
        ("call ", "(408) 525-1000", MASKS.number("(408) 525-1000"), ""),
        ("call ", "1-408-525-1000", MASKS.number("1-408-525-1000"), ""),
        ("sip:%2B", NUMBER, NUMBER_MASK, "@localhost"),
        ("<speedDial>", "+14085251000", MASKS.number("+14085251000"), "</speedDial>"),
        ("  callingParty = ", EXTENSION, EXTENSION_MASK, ""),
        ("content='From ", EXTENSION, EXTENSION_MASK, " (x)'"),
        ("S: L/rg, ci(11/30/13/03,", EXTENSION, EXTENSION_MASK, ")"),
        ("O: D/", "3", MASKS.number("3"), ""),
        # a name
        ("GET /?userid=", "J%C3%BCrgen", quote(MASKS.name("Jürgen")), "&x=1"),
        ("userid=", "j%c3%bcrgen", quote(MASKS.name("jürgen")).lower(), "%26x%3d1"),
        ("CN=localhost;OU=Phone;O=", "Doe Corp", MASKS.name("Doe Corp"), ";C=DE"),
        ("CN=localhost,OU=Phone,O=", "Doe Corp", MASKS.name("Doe Corp"), ",C=DE"),
        ("oName=locale: 1 Name: ", "Al Doe", MASKS.name("Al Doe"), " UnicodeName:  pi: 0"),
        ("loginId= UnicodeName: ", "Al Doe", MASKS.name("Al Doe"), " retriedVideo=F"),
        ("Transport=4mDisplayName=", "Al Doe", MASKS.name("Al Doe"), "RawUrl=sip:localhost"),
        ("calledPartyName='", "Al Doe", MASKS.name("Al Doe"), "' calledParty="),
        ("CallingPartyName=", "O'Neil", MASKS.name("O'Neil"), ", CallingParty=, "),
        ("%[UserID =", "jdoe", MASKS.name("jdoe"), "][ClientAddress =]"),
        ("[Description=", "Al Doe", MASKS.name("Al Doe"), "][Reason=8]"),
        ("<userid>", "jdoe", MASKS.name("jdoe"), "</userid>"),
        ('{"userId": "', "jdoe", MASKS.name("jdoe"), '"}'),
        (
            "localhost - ",
            "jdoe",
            MASKS.name("jdoe"),
            ' [01/Dec/2026:10:00:00 +0000] "GET / HTTP/1.1"',
        ),
        ("sshd[1]: Accepted password for ", "jdoe", MASKS.name("jdoe"), " from localhost port 1"),
        ("region=", "EM FI", MASKS.name("EM FI"), " capCount=5"),
        ("|1,200,13,85.12^*^", "EM_FI", MASKS.name("EM_FI"), " |[R:N-H:0]"),
        ("partitionSearchSpaceString(", "A_PT:B", MASKS.name("A_PT:B"), ")"),
        ("[Node ID=", "cm1", MASKS.name("cm1"), "]: Audit Event"),
        ("Warning: 399 ", "cm1", MASKS.name("cm1"), ' "Unable to find a device"'),
        ("Cluster Detailed View from ", "cm1", MASKS.name("cm1"), " (2 Servers):"),
        ("", "cm1", MASKS.name("cm1"), "  0.0.0.0  0.01  Y/Y/Y  0  (g_2)  (2) Setup Completed"),
        ('"\\\\', "cm1", MASKS.name("cm1"), '\\Processor(_Total)"'),
        (
            'From: "',
            "10048 - Doe, Jane",
            MASKS.name("10048 - Doe, Jane"),
            '" <sip:localhost>;tag=1',
        ),
        ("CallingPartyName=", "John Smith", MASKS.name("John Smith"), ", CallingParty=, "),
        ("DeviceName=TCT", "JDOE", MASKS.name("JDOE"), ": Pid=1,100"),
        ("|1,100,14,1.2^*^CSF", "JDOE", MASKS.name("JDOE"), " |[R:N-H:0]"),
        ("|DialingPartition=", "Acme-Berlin-PT", MASKS.name("Acme-Berlin-PT"), ""),
        ("|DialingPartition=", "Acme Berlin PT", MASKS.name("Acme Berlin PT"), ""),
        ('pss="', "Acme PT:INTERNAL_PT", MASKS.name("Acme PT:INTERNAL_PT"), '", Tod'),
        ("x-nearendclusterid=", "AcmeCUCM10-5", MASKS.name("AcmeCUCM10-5"), ";x-n"),
        ("AuditLog UserID : ", "jdoe", MASKS.name("jdoe"), "  ClientAddress : "),
        ("HostName: ", "UCM15-HQ-PUB", MASKS.name("UCM15-HQ-PUB"), ", HostIPAddress"),
        ("To: <sip:", "ucm.acme.example", MASKS.name("ucm.acme") + ".example", ":5060>"),
        ('User="', "jane@acme.example", f"{MASKS.name('jane')}@{MASKS.name('acme')}.example", '"'),
        ("P-Asserted-Identity: ", "Al Doe", MASKS.name("Al Doe"), " <sip:localhost>"),
        ('<identity display="', "Al Doe", MASKS.name("Al Doe"), '">'),
        ("CallingPartyName=", "Al Doe", MASKS.name("Al Doe"), " LH=1|2"),
        ("  callingPartyName = ", "Al Doe", MASKS.name("Al Doe"), " LH = 1"),
        ("(provider id=1 login id=", "jdoe", MASKS.name("jdoe"), " filter=0)"),
        ("sAMAccountName: ", "jdoe", MASKS.name("jdoe"), "; x"),
        ("DN=CN=", "Doe\\, Al", MASKS.name("Doe\\, Al"), ",OU=localhost"),
        ("C:\\Users\\", "jdoe", MASKS.name("jdoe"), "\\AppData"),
        ("/home/", "jdoe", MASKS.name("jdoe"), "/x"),
        ("GET https://", "cm1.acme.example", MASKS.name("cm1.acme") + ".example", ":8443/x"),
        ("Alternative Name: DNS:", "cm1.acme.example", MASKS.name("cm1.acme") + ".example", ""),
        ("2026-11-30T12:03:11+01:00 ", "exp1", MASKS.name("exp1"), ' tvcs: UTCTime="2026"'),
        ('"\\\\localhost\\Cisco SIP(', "AL-CUBE", MASKS.name("AL-CUBE"), ")\\CallsActive"),
        # a hex dump
        ("05 ", "32 30 30 36  .2006", f"{DUMPED.encode().hex(' ')}  .{DUMPED}", ""),
    ],
)
def test_disguise(before: str, original: str, mask_of_it: str, after: str) -> None:
    assert mask(before + original + after) == before + mask_of_it + after


def test_value_ends_at_bracket() -> None:
    """What follows is no name, which would be masked everywhere."""
    assert mask(f"%[DeviceName=SEP{MAC.upper()}][Protocol=SIP]").endswith("][Protocol=SIP]")


@pytest.mark.parametrize("after", [f"({NODE})", f":{NODE}", ":miller"])
def test_value_has_more_than_a_device(after: str) -> None:
    masked = mask(f"{NODE}\nUserID=miller\nDeviceName=SEP{MAC.upper()}{after}")
    after = after.replace(NODE, NODE_MASK).replace("miller", MASKS.name("miller"))
    assert masked.endswith(f"SEP{MAC_MASK.upper()}{after}")


@pytest.mark.parametrize(
    ("before", "secret", "after"),
    [
        ("Authorization: Basic ", "amRvZTpzZWNyZXQ", "="),
        ("<password>", "hunter2", "</password>"),
        ("userid=&passwd=", "hunter2", "&x=1"),
        ("<sshPassword>", "hunter2", "</sshPassword>"),
        ("sftp://root:", "hunter2", "@localhost/x"),
        ("a=crypto:1 AES_CM_128 inline:", "d0RmdmcmVCspeEc3", "|2^20"),
        ("Authorization: Bearer ", "q1w2e3r4", ""),
        ('Token="', "eyJhbGciOiJSUzI1NiJ9", '"'),
        ("-----BEGIN CERTIFICATE-----\n", "TUlJQg", "\n-----END CERTIFICATE-----"),
    ],
)
def test_secret_is_in_no_map(before: str, secret: str, after: str) -> None:
    collected = Text(MASKS)
    collected.collect(before + secret + after)
    assert not any(collected.found.by_kind.values())
    assert mask(before + secret + after) == before + "x" * len(secret) + after


@pytest.mark.parametrize("address", ["::ffff:14.48.32.90", "2001:DB8:0:0:0:0:0:AB3"])
def test_address_with_a_port(address: str) -> None:
    masked = mask(f"tcp {address}:51234 ESTABLISHED")
    assert re.fullmatch(r"tcp [0-9A-F:.f]+:51234 ESTABLISHED", masked)
    assert not {"14", "90", "DB8", "AB3"} & set(re.split("[ :.]", masked))


def test_mac_address_before_bytes() -> None:
    assert mask("00:50:56:01:02:03 08 00 45 00") == (
        f"{bytes.fromhex(MASKS.mac('005056010203')).hex(':')} 08 00 45 00"
    )


def test_mail_address() -> None:
    user, host = MASKS.name("jane.doe"), MASKS.name("acme")
    assert mask("mail to jane.doe@acme.example.") == f"mail to {user}@{host}.example."


def test_known_number_is_found_anywhere() -> None:
    text = f'dd="{NUMBER}"\ncan\'t find remdest {NUMBER} in map [{NUMBER}] x{NUMBER}y'
    assert NUMBER not in mask(text)


@pytest.mark.parametrize(
    "text",
    [
        f"<sip:a{NUMBER}-414f-0720-5f53-a18ee978c4d8@10.1.2.3:50147",
        f"Call-ID: a{NUMBER}-d6514bed-327f-51e140a@10.20.30.5",
        f"branch=z9hG4bK{NUMBER}ab",
        f"DeviceName=a{NUMBER}-414f-0720-5f53-a18ee978c4d8",
    ],
)
def test_number_within_an_identifier_is_masked(text: str) -> None:
    """It is there by chance, but cannot be told from others. Else the search would find it."""
    assert NUMBER not in mask(f'cn="{NUMBER}" {text}')


def test_short_number_stays_where_unmarked() -> None:
    assert (
        mask('cn="5060"\non port 5060 index 32')
        == f'cn="{MASKS.number("5060")}"\non port 5060 index 32'
    )


def test_known_name_is_found_anywhere() -> None:
    text = 'From: "Mary Miller" <sip:1@localhost>\nuser MILLER of miller-phone'
    assert "miller" not in mask(text).lower()


def test_short_name_stays_where_unmarked() -> None:
    assert mask('From: "Al Doe" <sip:1@localhost>\ndoe').endswith("\ndoe")


def test_name_of_short_words_is_found_as_whole() -> None:
    text = 'From: "Ann Poe" <sip:1@localhost>\ncall of Ann Poe from EM-FI-PT\npss="EM-FI-PT"'
    masked = mask(text)
    assert "Ann Poe" not in masked
    assert "EM-FI-PT" not in masked


def test_name_with_a_short_word_is_found_as_whole() -> None:
    text = 'From: "Jane von Poe" <sip:1@localhost>\ncall of Jane von Poe'
    assert mask(text).endswith(f"\ncall of {MASKS.name('Jane von Poe')}")


def test_host_of_usual_words_is_no_original() -> None:
    """It keeps its name, so a search for it would always find it."""
    collected = Text(MASKS)
    collected.collect("To: <sip:1@cm1.global.example>\nTo: <sip:1@phone.global.example>")
    assert collected.found.by_kind[Kind.HOST] == {"cm1", "cm1.global.example"}


def test_user_with_signs_is_masked() -> None:
    assert "spool" not in mask("Record-Route: <sip:rr$n=cube-spool-int@10.1.2.3:5060;lr>")


def test_known_mac_is_found_in_other_ids() -> None:
    text = f"SEP{MAC.upper()}\n8e677fcde88ae06fd8ee{MAC}"
    assert MAC not in mask(text)


def test_known_address_is_found_as_hex() -> None:
    text = f"{NODE}\naddress 5a20300e and 0e30205a"
    assert mask(text) == f"{NODE_MASK}\naddress {REVERSED} and {HEX}"


def test_known_address_is_found_as_hex_without_zero() -> None:
    """CUCM writes 10.30.0.11 as b001e0a."""
    masked = MASKS.address(IPv4Address("10.30.0.11").packed)[::-1].hex()
    assert mask("10.30.0.11 ip = b001e0a, port").endswith(f" ip = {masked[1:]}, port")


def test_known_address_is_found_in_host() -> None:
    names = "ip-14-48-32-90.example a/host_14_48_32_90.txt"
    for sign in "-_":
        names = names.replace(NODE.replace(".", sign), NODE_MASK.replace(".", sign))
    assert mask(f"{NODE} ip-14-48-32-90.example a/host_14_48_32_90.txt") == f"{NODE_MASK} {names}"


def test_known_address_is_found_as_number() -> None:
    text = f"{NODE} in 238035034 or 1512058894 or 0238035034"
    numbers = int(HEX, 16), int(REVERSED, 16), f"{int(HEX, 16):010}"
    assert mask(text) == "{} in {} or {} or {}".format(NODE_MASK, *numbers)


def test_network_is_no_small_number() -> None:
    text = "10.7.0.0\n00000007|10:07 7 1802"
    assert mask(text).endswith("\n00000007|10:07 7 1802")


def test_address_within_a_file_name() -> None:
    assert mask(f"log_{NODE}.txt v{NODE}") == f"log_{NODE_MASK}.txt v{NODE_MASK}"


def test_number_goes_on_in_next_row_of_dump() -> None:
    text = "0000: 6c 06 00 81 39 31 31  l...911\n0010: 30 30 30 31 70 00 00  0001p..\n"
    digits = NUMBER_MASK.encode()
    rows = digits[:3].hex(" "), digits[3:].hex(" ")
    assert mask(text) == (
        f"0000: 6c 06 00 81 {rows[0]}  l...{NUMBER_MASK[:3]}\n"
        f"0010: {rows[1]} 70 00 00  {NUMBER_MASK[3:]}p..\n"
    )


def test_device_in_dump() -> None:
    def row(text: str) -> str:
        return f"0000: {text.encode().hex(' ')} 00  {text}."

    device, masked = f"SEP{MAC.upper()}", f"SEP{MAC_MASK.upper()}"
    assert mask(row(device)) == row(masked)
    assert mask(f"{device}\n{row(MAC)}") == f"{masked}\n{row(MAC_MASK)}"


def test_name_of_short_words_in_dump() -> None:
    name, masked = "Ann Poé", MASKS.name("Ann Poé")
    assert mask(f'From: "{name}" <sip:localhost>\n00 {name.encode().hex(" ")} 08').endswith(
        f"\n00 {masked.encode().hex(' ')} 08"
    )


def test_known_mac_in_dump() -> None:
    mac, masked = (bytes.fromhex(one).hex(" ") for one in (MAC, MAC_MASK))
    assert mask(f"SEP{MAC.upper()}\n00 0e {mac} 08 00").endswith(f"\n00 0e {masked} 08 00")


def test_dump_without_text_is_masked() -> None:
    masked = mask("IsdnMsgData2= 08 02 00 4A 6C 06 00 81 32 30 30 36 70")
    assert (
        masked
        == f"IsdnMsgData2= 08 02 00 4A 6C 06 00 81 {MASKS.number('2006').encode().hex(' ')} 70"
    )


def test_own_word_is_found_within_words() -> None:
    own = ("Acme",)
    text = "AcmeTrunk-1 and xACMEy"
    collected = Text(MASKS, own=own)
    collected.collect(text)
    assert "acme" not in Text(MASKS, collected.found, own=own).mask(text).lower()


@pytest.mark.parametrize(
    "line",
    [
        "04241138.007 |11:27:41.238 |AppInfo  |Digit analysis: analysis results",
        "SIPTcp - wait_SdlReadRsp: Incoming message on port 50147 index 32 with 1946 bytes:",
        "[286938,NET]",
        "StationD(1):  TCPPid = [1.100.117.1] OpenReceiveChannel conferenceID=16777217",
        "%[DeviceName=][IPAddress=][Protocol=SIP][DeviceType=685][Reason=8]",
        "guid=0098.89c8.9233.511d.0300.cddd.ac10.46e6",
        "Unified OS Version : 7.0.0.0-3",
        '{"location":"activelog","profile":"callmanager"}',
        "CSeq: 101 INVITE",
        "Alert-Info: <file://Bellcore-dr1/>",
        "a=rtpmap:18 G729/8000",
        "Allow: INVITE, OPTIONS, INFO, BYE, CANCEL, ACK, PRACK, UPDATE, REFER, SUBSCRIBE, NOTIFY",
        "Reason: Q.850;cause=47",
        "SIPBuiltInBridgeControl(1,100,86,15) |SIPStationCdfc(1,100,77,21)",
        "CI=19301626 NumStream=1 Pid=1,100,76,27",
        "Via: SIP/2.0/TCP localhost:5060;branch=z9hG4bK32e829c48246",
        "tag=104952~e650e088-60ba-4195-8387-3dcc0127efdc-19301625",
        "AppVersion: CUCM Install=15.0.1.12900-234 Build=15.0.1.12900-234 (d3f126)",
        "Date: Tue, 27 Aug 2019 15:27:42 GMT",
        'From: "Call Manager" <sip:localhost>',
        "Call-Info: <urn:x-cisco-remotecc:callinfo>; security= Unknown; gci= 1-2029; isVoip",
        "Name=1b802aa4-863d-879c-f003-9b6de9a1fae5",
        "User-Agent: Cisco-CP7861/12.1.1",
        "SCCP 0.0.0.0 and 255.255.255.0",
    ],
)
def test_what_follows_a_call_stays(line: str) -> None:
    assert mask(line) == line


def test_originals_are_counted_by_kind() -> None:
    collected = Text(MASKS)
    collected.collect(
        f'SEP{MAC.upper()} {NODE} cn="{NUMBER}" Call-ID: a0000000-b0000000-1-5a20300e@localhost'
    )
    assert collected.found.by_kind[Kind.ADDRESS] == {NODE}
    assert collected.found.by_kind[Kind.MAC] == {MAC}
    assert collected.found.by_kind[Kind.NUMBER] == {NUMBER}


def test_blank_shows_only_what_stays() -> None:
    text = f'{NODE} cn="{NUMBER}" SEP{MAC} cause=47'
    collected = Text(MASKS)
    collected.collect(text)
    left = Text(MASKS, collected.found, blank=True).mask(text).replace("\0", "")
    assert left == ' cn="" SEP cause=47'


def test_originals_of_files_are_joined() -> None:
    both = Originals({Kind.NUMBER: ["9110001"]})
    both.update(Originals({Kind.NUMBER: ["9110002"], Kind.NAME: ["Jane Miller"]}))
    assert both.numbers == {"9110001", "9110002"}
    assert set(both.words) == {"miller"}


@pytest.mark.parametrize("address", ["2001::1", "2001:0:0:0:0:0:0:1", "10.1.2.3", "2001::12:34"])
def test_address_of_digits_is_no_time(address: str) -> None:
    assert address not in mask(f"from {address} at 11:27:41.238")
