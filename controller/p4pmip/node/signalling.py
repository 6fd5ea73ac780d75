"""The transport of a node's signalling, as its configuration wants it."""

from p4pmip.node.engines import signalling_endpoint
from p4pmip.node.inband import InBandTransport
from p4pmip.node.links import Links
from p4pmip.node.schema import SIGNALLING_PORT, NodeSettings
from p4pmip.node.transport import MobilityHeaderTransport, Receiver, Transport, UdpTransport


async def open_transport(node: NodeSettings, links: Links, receive: Receiver) -> Transport:
    """Open it; what arrives goes to `receive`.

    Raises:
        TransportError: Its address cannot be used on this machine.
    """
    signalling = node.signalling
    if signalling.transport == "in-band":
        transport = InBandTransport(signalling_endpoint(node), receive, links.send)
        links.signalling = transport.arrived
        return transport
    if signalling.transport == "udp":
        assert signalling.address.version == 4
        return await UdpTransport.open(signalling.address, SIGNALLING_PORT, receive)
    assert signalling.address.version == 6
    return MobilityHeaderTransport(signalling.address, receive)
