"""In-band signalling: through the switch, whose own address the LMAA or Proxy-CoA then is.

The switch hands up what is for that address and came by a transport link (`SIGNALLING`). What is sent enters the switch
as a packet of its own and is routed by its tables. The address's family decides the form: the Mobility Header over
IPv6 (RFC 6275 §6.1), or in UDP over IPv4 (RFC 5844 §4.1.3.1).
"""

from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from p4pmip.forwarding.program import CPU_PORT
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.node.transport import Receiver
from p4pmip.wire import icmpv6
from p4pmip.wire.ethernet import Ethernet, EtherType
from p4pmip.wire.fault import Fault
from p4pmip.wire.ip import IPProtocol, IPv4Packet, IPv6Packet, decode_ip, upper_layer
from p4pmip.wire.numbers import SIGNALLING_PORT
from p4pmip.wire.udp import Udp

_NOBODY = bytes(6)
"""Link-layer addresses of a packet that has not been routed yet."""

SendFrame = Callable[..., None]


class InBandTransport:
    """Signalling as frames of the switch's packet stream."""

    def __init__(self, local: Endpoint, receive: Receiver, send: SendFrame) -> None:
        self.local = local
        self.counters: Counter[str] = Counter()
        self._receive = receive
        self._send = send

    def arrived(self, frame: bytes) -> None:
        """A frame that the switch took for signalling."""
        ethernet = Ethernet.decode(frame)
        packet = ethernet if isinstance(ethernet, Fault) else decode_ip(ethernet.payload)
        upper = packet if isinstance(packet, Fault) else upper_layer(packet)
        if isinstance(packet, Fault) or isinstance(upper, Fault):
            self.counters["malformed"] += 1
        elif packet.destination != self.local.address:
            self.counters["other_address"] += 1
        elif isinstance(packet, IPv4Packet):
            datagram = Udp.decode(upper.payload, packet.source, packet.destination)
            if isinstance(datagram, Fault):
                self.counters["malformed"] += 1
            else:
                source = Endpoint(packet.source, datagram.source_port)
                self._receive(datagram.payload, source, self.local)
        else:
            self._receive(upper.payload, Endpoint(packet.source), self.local)

    def send(self, octets: bytes, destination: Endpoint) -> None:
        """Send one message."""
        near, far = self.local.address, destination.address
        if isinstance(near, IPv6Address) and isinstance(far, IPv6Address):
            self._put(EtherType.IPV6, IPv6Packet(near, far, IPProtocol.MOBILITY_HEADER, octets).encode())
        elif isinstance(near, IPv4Address) and isinstance(far, IPv4Address):
            datagram = Udp(SIGNALLING_PORT, destination.port or SIGNALLING_PORT, octets).encode(near, far)
            self._put(EtherType.IPV4, IPv4Packet(near, far, IPProtocol.UDP, datagram).encode())
        else:
            self.counters["send_refused"] += 1

    def parameter_problem(self, octets: bytes, pointer: int, destination: Endpoint) -> None:
        """Tell the sender of a Mobility Header where it is wrong (RFC 6275 §9.2); `pointer` counts from its start."""
        near, far = self.local.address, destination.address
        if not isinstance(near, IPv6Address) or not isinstance(far, IPv6Address):
            return
        invoking = IPv6Packet(far, near, IPProtocol.MOBILITY_HEADER, octets).encode()
        message = icmpv6.encode(icmpv6.parameter_problem(0, 40 + pointer, invoking), near, far)
        self._put(EtherType.IPV6, IPv6Packet(near, far, IPProtocol.ICMPV6, message).encode())

    def _put(self, kind: EtherType, packet: bytes) -> None:
        frame = Ethernet(_NOBODY, _NOBODY, kind, packet).encode()
        self._send(frame, submit_to_ingress=1, egress_port=CPU_PORT)

    async def close(self) -> None:
        """Nothing is open."""
