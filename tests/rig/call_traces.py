"""Writes SDL traces of a cluster with two nodes, in which one call is to be found among many.

The forms of the lines are those of traces in Cisco's documents 200788, 200764 and 211385, and in
public notes of engineers. The call of `CALL_ID`:

    a telephone with 1000, on the first node, dials 7021004
    -> digit analysis, and a signal to the second node, which rings the telephone with 7021004
    -> that one consults 1003, a telephone on the first node, and transfers the call (REFER)
    -> 1003 transfers it to a gateway, without asking (REFER); that leg has no Session-ID

Each node has the clock of its own zone. Other calls use the same telephones and connections, some
at the same time. What the other calls do, and what telephones do that are not in a call, must not
be taken for the call.
"""

from __future__ import annotations

import gzip
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

CALL_ID = "38ed1855-2a120006-78c34baf-1b81d864@192.0.2.102"
NUMBER = "7021004"
BEGIN = datetime(2026, 11, 30, 22, 30, tzinfo=UTC)
_UUID = "e650e088-60ba-4195-8387-3dcc0127efdc"  # that CUCM has in all of its tags
_NIL = "0" * 32


@dataclass(eq=False)
class Node:
    """Writes the trace of a node."""

    name: str
    number: int
    address: str
    offset: timedelta
    lines: list[tuple[datetime, bytes]] = field(default_factory=list)  # a signal each
    sequence: int = 4_241_111

    def signal(
        self,
        at: datetime,
        name: str,
        to: str,
        cause: str,
        text: str = "",
        *apps: str,
        kind: str = "SdlSig  ",
    ) -> list[str]:
        """Writes a signal and the lines of the process that gets it. Returns these lines."""
        self.sequence += 1
        stamp = (at + self.offset).strftime("%H:%M:%S.%f")[:-3]
        begin = f"{self.sequence:08d}"
        lines = [
            f"{begin}.000 |{stamp} |{kind} |{name:38} |wait                           |"
            f"{to:31} |Cc(1,100,225,1)                  |{cause:39} |[R:N-H:0,N:0,L:0,V:0,Z:0,D:0] "
            f" {text}",
            *(f"{begin}.{n:03d} |{stamp} |AppInfo  |{app}" for n, app in enumerate(apps, 1)),
        ]
        self.lines.append((at, "".join(line + "\n" for line in lines).encode()))
        return lines

    def files(self, size: int) -> dict[str, bytes]:
        """Returns the trace in files of about that many bytes, each with its header."""
        made: dict[str, bytes] = {}
        zone = timezone(self.offset)
        current: list[bytes] = []
        held = 0
        for at, text in sorted(self.lines, key=lambda line: line[0]):
            if not current or held > size:
                self._close(made, current)
                local = at.astimezone(zone)
                utc = f"{local:%z}"[:3] + ":" + f"{local:%z}"[3:]
                header = (
                    f"{int(text[:8]):08d}.000 |{local:%H:%M:%S}.000 |FileHead |UTC:{utc},Date: "
                    f"{local:%Y/%m/%d}, AppName: CCM, AppId: 100, AppNodeId: {self.number}, "
                    f"HostName: {self.name}, FileNumber: {len(made) + 1}, TraceVer: 3.0\n"
                )
                current, held = [header.encode()], 0
            current.append(text)
            held += len(text)
        self._close(made, current)
        return made

    @staticmethod
    def _close(made: dict[str, bytes], lines: list[bytes]) -> None:
        if lines:
            made[f"cm/trace/ccm/sdl/SDL001_100_{len(made) + 1:06d}.txt"] = b"".join(lines)


@dataclass(frozen=True)
class Phone:
    number: str
    mac: str
    address: str
    node: Node
    connection: int

    def cause(self, message: int) -> str:
        """Returns what SdlSig lines call a message on the telephone's connection."""
        return f"{self.node.number},100,14,{self.connection}.{message}^{self.address}^*"


@dataclass(frozen=True)
class Leg:
    """Describes a dialog of SIP between a node and a telephone or gateway.

    theirs: the beginning of From or To with the tag of the other end
    """

    node: Node
    address: str
    call_id: str
    ci: int
    number: str
    is_from_phone: bool
    session: str = ""  # of the telephone
    tag: str = ""

    @property
    def own(self) -> str:
        return f"tag={self.ci % 99_991}~{_UUID}-{self.ci}"

    def ends(self, peer: str) -> tuple[str, str]:
        """Returns From and To of messages within the dialog."""
        theirs = f"<sip:{self.number}@{self.node.address}>;tag={self.tag}"
        own = f"<sip:{peer}@{self.node.address}>;{self.own}"
        return (theirs, own) if self.is_from_phone else (own, theirs)


class Traces:
    """Writes calls into the traces of two nodes.

    shown: the lines that belong to the call of `CALL_ID`, as (node, time, line)
    call_ids: of its legs
    """

    def __init__(self, seed: int = 37) -> None:
        self._random = random.Random(seed)
        self._messages = 0
        self._cis = [0, 19_301_623, 36_078_859]  # by node
        self._trunk = 0
        self.first = Node("cucm-pub", 1, "192.0.2.5", timedelta(hours=-5))
        self.second = Node("cucm-sub1", 2, "192.0.2.6", timedelta(hours=1))
        self.nodes = (self.first, self.second)
        self.shown: set[tuple[str, datetime, str]] = set()
        self.call_ids: set[str] = set()
        self._is_ours = False
        self.phones = [
            Phone(number, mac, f"192.0.2.{host}", node, connection)
            for number, mac, host, node, connection in (
                ("1000", "38ed18552a12", 102, self.first, 83),
                (NUMBER, "6c416a369525", 107, self.second, 91),
                ("1003", "0018195aa209", 110, self.first, 84),
                ("1004", "001795bdd16b", 111, self.second, 92),
                ("7021005", "b4a8b968dc75", 112, self.first, 85),
            )
        ]

    def write(self, others: int) -> Traces:
        """Writes the call, and others before, at the same time and behind. Returns itself."""
        times = [BEGIN + timedelta(seconds=7.3 * n) for n in range(others)]
        for n, at in enumerate(times):
            if n == others // 2:
                self._is_ours = True
                self._transferred_call(at + timedelta(seconds=1))
                self._is_ours = False
            self._noise(at)
            caller, called = self._random.sample(self.phones, 2)
            self._call(at, caller, called, self._phone_call_id(caller))
        return self

    def files(self, size: int = 200_000, *, packed: bool = False) -> dict[str, dict[str, bytes]]:
        """Returns the files of each node."""
        made = {node.name: node.files(size) for node in self.nodes}
        if not packed:
            return made
        return {
            name: {f"{path}.gz": gzip.compress(text, 6, mtime=0) for path, text in files.items()}
            for name, files in made.items()
        }

    # One message or signal each

    def _show(self, node: Node, at: datetime, line: str) -> None:
        if self._is_ours:
            in_trace = at.replace(microsecond=at.microsecond // 1000 * 1000)
            self.shown.add((node.name, in_trace, line))

    def _signal(
        self, node: Node, at: datetime, name: str, to: str, cause: str, text: str, *apps: str
    ) -> None:
        """Writes a signal. Its lines with a call reference are shown, and its digit analysis."""
        for line in node.signal(at, name, to, cause, text, *apps):
            if any(mark in line for mark in ("CI=", "Digit analysis: match(", "ConnectRequest(")):
                self._show(node, at, line)

    def _message(
        self, leg: Leg, at: datetime, cause: str, incoming: bool, first: str, *headers: str
    ) -> None:
        if self._is_ours:
            self.call_ids.add(leg.call_id)
        self._messages += 1
        body = "\n".join([first, *headers, "Content-Length: 0", ""])
        if incoming:
            above = (
                f"SIPTcp - wait_SdlReadRsp: Incoming SIP TCP message from {leg.address} on port "
                f"50147 index 32 with {len(body)} bytes:"
            )
        else:
            above = (
                f"SIPTcp - wait_SdlSPISignal: Outgoing SIP TCP message to {leg.address} on port "
                "50147 index 32 "
            )
        lines = leg.node.signal(
            at,
            "SdlReadRsp" if incoming else "SIPSPISignal",
            "SIPTcp(1,100,80,1)",
            cause,
            "*TraceFlagOverrode",
            f"{above}\n[{286_000 + self._messages},NET]\n{body}",
        )
        above, _, rest = lines[1].partition("\n")
        self._show(leg.node, at, above)
        self._show(leg.node, at, rest.split("\n")[1])

    def _request(
        self,
        leg: Leg,
        at: datetime,
        cause: str,
        method: str,
        peer: str,
        *headers: str,
        incoming: bool,
        session: str = "",
        remote: str = _NIL,
        new: bool = False,
    ) -> None:
        sender, receiver = leg.ends(peer)
        if incoming != leg.is_from_phone:  # From is the end that sends the request
            sender, receiver = receiver, sender
        if new:
            receiver = receiver.partition(";tag")[0]
        self._message(
            leg,
            at,
            cause,
            incoming,
            f"{method} sip:{peer if incoming else leg.number}@{leg.node.address} SIP/2.0",
            f"Via: SIP/2.0/TCP {leg.address}:5060;branch=z9hG4bK{self._messages:x}",
            f"From: {sender}",
            f"To: {receiver}",
            f"Call-ID: {leg.call_id}",
            f"CSeq: {101 + self._messages % 7} {method}",
            *([f"Session-ID: {session};remote={remote}"] if session else []),
            *headers,
        )

    def _response(
        self,
        leg: Leg,
        at: datetime,
        cause: str,
        status: str,
        peer: str,
        method: str = "INVITE",
        *,
        incoming: bool,
        session: str = "",
        remote: str = _NIL,
    ) -> None:
        sender, receiver = leg.ends(peer)
        self._message(
            leg,
            at,
            cause,
            incoming,
            f"SIP/2.0 {status}",
            f"From: {sender}",
            f"To: {receiver}",
            f"Call-ID: {leg.call_id}",
            f"CSeq: 101 {method}",
            *([f"Session-ID: {session};remote={remote}"] if session else []),
        )

    # Calls

    def _phone_call_id(self, phone: Phone) -> str:
        return (
            f"{phone.mac[:8]}-{phone.mac[8:]}{self._random.randrange(65536):04x}-"
            f"{self._random.randrange(1 << 32):08x}-{self._random.randrange(1 << 32):08x}"
            f"@{phone.address}"
        )

    def _node_call_id(self, node: Node) -> str:
        # The last group is the address, backwards (200788).
        address = "".join(f"{int(one):x}" for one in reversed(node.address.split(".")))
        return (
            f"{self._random.randrange(1 << 32):x}-{self._random.randrange(1 << 32):x}-"
            f"{self._random.randrange(1 << 16):x}-{address}@{node.address}"
        )

    def _session(self, phone: Phone) -> str:
        return f"{self._random.randrange(1 << 32):08x}00105000a000{phone.mac}"

    def _next_cause(self, phone: Phone) -> str:
        self._messages += 1
        return phone.cause(self._messages)

    def _call(
        self, at: datetime, caller: Phone, called: Phone, call_id: str
    ) -> tuple[Leg, Leg, datetime]:
        """Writes a call until it is answered. Returns both legs, and when it was answered."""
        node, other = caller.node, called.node
        self._cis[node.number] += 2
        ci, peer_ci = self._cis[node.number] - 1, self._cis[node.number]
        tag, peer_tag = f"{caller.mac}296c{ci:08x}", f"{called.mac}006f{ci:08x}"
        a, b = self._session(caller), self._session(called)
        leg = Leg(node, caller.address, call_id, ci, caller.number, True, a, tag)
        peer_id = self._node_call_id(other)
        peer = Leg(other, called.address, peer_id, peer_ci, called.number, False, b, peer_tag)

        def after(seconds: float) -> datetime:
            return at + timedelta(seconds=seconds)

        cause = self._next_cause(caller)
        self._request(
            leg, after(0), cause, "INVITE", called.number, incoming=True, session=a, new=True
        )
        self._response(leg, after(0.002), cause, "100 Trying", called.number, incoming=False)
        self._signal(
            node,
            after(0.006),
            "DaReq",
            "Da(1,100,216,1)",
            cause,
            f"CI={ci} Fqcn=+4930{caller.number} Cgpn={caller.number}",
            f'Digit analysis: match(pi="2", fqcn="+4930{caller.number}", cn="{caller.number}",'
            f'plv="5", pss="INTERNAL_PT", TodFilteredPss="INTERNAL_PT", dd="{called.number}",'
            'dac="0")',
            "Digit analysis: analysis results",
            f"|PretransformCallingPartyNumber={caller.number}\n"
            f"|CallingPartyNumber={caller.number}\n|DialingPartition=INTERNAL_PT\n"
            f"|DialingPattern={called.number}\n"
            f"|FullyQualifiedCalledPartyNumber=+4930{called.number}",
        )
        setup = f"CI={peer_ci} CI.branch=0  cgpn=tn=0npi=0ti=1nd={caller.number}pi=1si1 "
        setup += f"cdpn=tn=0npi=0ti=1nd={called.number}pi=1si1 fateShareId=StandAloneCluster:{ci} x"
        for at_node in dict.fromkeys((node, other)):
            self._signal(
                at_node, after(0.008), "CcSetupReq", "LineControl(1,100,178,34)", cause, setup
            )
        self._request(
            peer, after(0.012), cause, "INVITE", caller.number, incoming=False, session=a, new=True
        )
        ringing = self._next_cause(called)
        for answer, seconds in (("180 Ringing", 0.1), ("200 OK", 2.3)):
            self._response(
                peer,
                after(seconds),
                ringing,
                answer,
                caller.number,
                incoming=True,
                session=b,
                remote=a,
            )
            self._response(
                leg,
                after(seconds + 0.01),
                ringing,
                answer,
                called.number,
                incoming=False,
                session=b,
                remote=a,
            )
        self._signal(
            node,
            after(2.32),
            "MediaConnectRequest",
            "ConnectionManager(1,100,44,1)",
            ringing,
            "",
            f"ARBTRY-ConnectionManager-wait_MediaConnectRequest({ci},{peer_ci})",
            f"ARBTRY-ConnectionManager- storeMediaInfo(CI={ci}): ADD NEW ENTRY, size=49",
        )
        self._request(
            leg, after(2.4), cause, "ACK", called.number, incoming=True, session=a, remote=b
        )
        return leg, peer, after(2.4)

    def _transferred_call(self, at: datetime) -> None:
        caller, called, third = self.phones[:3]
        leg, peer, answered = self._call(at, caller, called, CALL_ID)
        consult_id = self._phone_call_id(called)
        consult, target, consulted = self._call(
            answered + timedelta(seconds=5), called, third, consult_id
        )

        def after(seconds: float) -> datetime:
            return consulted + timedelta(seconds=seconds)

        cause = self._next_cause(called)
        replaces = f"{consult_id.replace('@', '%40')}%3Bto-tag%3D{consult.own[4:]}"
        self._request(
            peer,
            after(3),
            cause,
            "REFER",
            caller.number,
            f"Refer-To: <sip:{third.number}@{called.node.address}?Replaces={replaces}"
            f"%3Bfrom-tag%3D{consult.tag}>",
            f"Referred-By: <sip:{called.number}@{called.node.address}>",
            incoming=True,
            session=peer.session,
            remote=leg.session,
        )
        self._response(
            peer, after(3.01), cause, "202 Accepted", caller.number, "REFER", incoming=False
        )
        self._signal(
            caller.node,
            after(3.05),
            "MediaConnectRequest",
            "ConnectionManager(1,100,44,1)",
            cause,
            "",
            f"ARBTRY-ConnectionManager-wait_MediaConnectRequest({leg.ci},{target.ci})",
        )
        for one, other in ((leg, target), (target, leg)):
            self._request(
                one,
                after(3.06),
                cause,
                "INVITE",
                other.number,
                incoming=False,
                session=other.session,
                remote=one.session,
            )
        # The third telephone passes the call to a gateway, which has no Session-ID.
        cause = self._next_cause(third)
        self._request(
            target,
            after(9),
            cause,
            "REFER",
            caller.number,
            f"Refer-To: <sip:004989123456@{third.node.address}>",
            incoming=True,
        )
        self._trunk_leg(after(9.02), third.node, cause, caller.number, "+4989123456")
        self._request(leg, after(30), self._next_cause(caller), "BYE", "1003", incoming=True)
        self._response(leg, after(30.01), cause, "200 OK", "1003", "BYE", incoming=False)

    def _trunk_leg(self, at: datetime, node: Node, cause: str, caller: str, called: str) -> None:
        self._cis[node.number] += 1
        self._trunk += 1
        leg = Leg(
            node, "192.0.2.200", self._node_call_id(node), self._cis[node.number], called, False
        )
        guid = f"{self._random.randrange(1 << 32):010d}-0000065536-{self._trunk:010d}-0084017344"
        self._request(
            leg, at, cause, "INVITE", caller, f"Cisco-Guid: {guid}", incoming=False, new=True
        )
        self._signal(
            node,
            at + timedelta(seconds=0.001),
            "CcSetupReq",
            "SIPCdpc(1,100,180,319645)",
            "1,100,150,1.1^*^*",
            f"CI={leg.ci} CI.branch=0 cdpn=tn=0npi=0ti=1nd={called}pi=1si1",
        )
        trunk = f"{node.number},100,14,7.{self._messages}^192.0.2.200^*"
        self._response(
            leg,
            at + timedelta(seconds=0.4),
            trunk,
            "503 Service Unavailable",
            caller,
            incoming=True,
        )

    def _noise(self, at: datetime) -> None:
        """Writes what is not of any call, though near one."""
        phone = self._random.choice(self.phones)
        node = phone.node
        node.signal(
            at,
            "DbObjectCacheTimer",
            "Db(1,100,213,1)",
            "1,100,150,1.1^*^*",
            "AppCorr: 0",
            "LPPolicyManager -getLogicalPartitionPolicy, GeolocInfoB[pkid=, filter=, devType=8]",
        )
        # A telephone watches another one. The dialog lives for hours, and each call of the other
        # one causes a message in it.
        watched = self._random.choice(self.phones)
        leg = Leg(node, phone.address, f"watch-{phone.mac}@{phone.address}", 7, phone.number, True)
        ours, self._is_ours = self._is_ours, False
        self._request(
            leg,
            at + timedelta(seconds=1.004),
            watched.cause(self._messages),
            "NOTIFY",
            watched.number,
            "Event: presence",
            incoming=False,
        )
        self._request(
            leg, at + timedelta(seconds=1.5), phone.cause(1), "REGISTER", "", incoming=True
        )
        self._is_ours = ours
