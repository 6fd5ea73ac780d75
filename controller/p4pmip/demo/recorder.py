"""The demo's capture: signalling as it arrived and frames as they crossed the transport network, in one pcapng file."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from p4pmip.demo.fabric import Passage, Plug
from p4pmip.errors import P4pmipError
from p4pmip.mobility.endpoint import Endpoint
from p4pmip.wire.capture import Frame, Interface, LinkType, header, packet, read
from p4pmip.wire.ip import IPProtocol, IPv4Packet
from p4pmip.wire.message import BindingAcknowledgement, BindingUpdate
from p4pmip.wire.options import GreKey
from p4pmip.wire.packet import decode_frame
from p4pmip.wire.udp import Udp

SIGNALLING = "signalling"


@dataclass(frozen=True, slots=True)
class Record:
    """A packet to be written."""

    time: float
    """Seconds since 1970."""
    interface: str
    octets: bytes


class Recorder:
    """Keeps the packets of some wires and all signalling, in the order in which they were seen."""

    def __init__(self, wires: Iterable[tuple[Plug, Plug]]) -> None:
        self._names = {plug: f"{one.name}--{other.name}" for one, other in wires for plug in (one, other)}
        self._records: list[Record] = []

    def passed(self, passage: Passage) -> None:
        """A frame crossed a wire; a tap for the fabric."""
        name = self._names.get(passage.source)
        if name is not None:
            self._records.append(Record(passage.time, name, passage.frame))

    def signalled(self, octets: bytes, source: Endpoint, destination: Endpoint, time: float) -> None:
        """A Mobility Header arrived in UDP over IPv4: kept with the headers that the socket took off."""
        assert isinstance(source.address, IPv4Address)
        assert isinstance(destination.address, IPv4Address)
        assert source.port is not None
        assert destination.port is not None
        datagram = Udp(source.port, destination.port, octets).encode(source.address, destination.address)
        whole = IPv4Packet(source.address, destination.address, IPProtocol.UDP, datagram).encode()
        self._records.append(Record(time, SIGNALLING, whole))

    def write(self, path: Path) -> int:
        """Write the capture; the answer is the number of packets.

        Raises:
            P4pmipError: The file cannot be written.
        """
        names = [SIGNALLING, *dict.fromkeys(self._names.values())]
        interfaces = [Interface(name, LinkType.IPV4 if name == SIGNALLING else LinkType.ETHERNET) for name in names]
        try:
            with path.open("wb") as file:
                file.write(header(interfaces))
                for record in self._records:
                    file.write(packet(names.index(record.interface), int(record.time * 1e9), record.octets))
        except OSError as error:
            raise P4pmipError("--capture", str(path), f"cannot be written: {error.strerror}") from error
        return len(self._records)


@dataclass(slots=True)
class Keys:
    """What a capture says about GRE keys."""

    negotiated_downlink: set[int] = field(default_factory=set)
    """In the GRE Key options of PBUs."""
    negotiated_uplink: set[int] = field(default_factory=set)
    """In those of PBAs."""
    used: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    """(outer source, outer destination) → keys in GRE headers."""
    faults: list[str] = field(default_factory=list)
    """Packets that did not decode."""


def keys_of(path: Path) -> Keys:
    """Read a capture back and collect every GRE key in it, of options and of GRE headers."""
    keys = Keys()
    capture = read(path.read_bytes())
    keys.faults += [str(fault) for fault in capture.faults]
    for frame in capture.frames:
        _collect(frame, keys)
    return keys


def _collect(frame: Frame, keys: Keys) -> None:
    found = decode_frame(frame)
    keys.faults += [f"packet {frame.number}: {fault}" for fault in found.faults]
    if found.signalling is not None:
        keys.faults += [f"packet {frame.number}: {fault}" for fault in found.signalling.faults]
        message = found.signalling.message
        if isinstance(message, BindingUpdate | BindingAcknowledgement):
            into = keys.negotiated_downlink if isinstance(message, BindingUpdate) else keys.negotiated_uplink
            into.update(
                option.key for option in message.options if isinstance(option, GreKey) and option.key is not None
            )
    elif found.gre is not None and found.gre.key is not None:
        keys.used.setdefault((str(found.source), str(found.destination)), set()).add(found.gre.key)
