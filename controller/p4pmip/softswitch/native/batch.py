"""Many packets in one call: from the slots of a receive ring (`ports/ring.py`) to the messages of sendmmsg(2)."""

from enum import IntEnum

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.native.bits import I8, I16, I32, I64
from p4pmip.softswitch.native.code import Code
from p4pmip.softswitch.native.layout import (
    KIND_SHIFT,
    PORT_SHIFT,
    VERDICT_DROP_EGRESS,
    VERDICT_DROP_INGRESS,
    VERDICT_SEND,
    VERDICT_SLOW,
)
from p4pmip.softswitch.ports.ring import (
    FRAME_AT,
    HELD_AT,
    LENGTH_AT,
    STATUS_AT,
    STATUS_COPY,
    STATUS_KERNEL,
    STATUS_TPID,
    STATUS_USER,
    STATUS_VLAN,
    TAG_AT,
    TAG_OCTETS,
    TCI_AT,
    TPID_8021Q,
    TPID_AT,
    Incoming,
)

BATCH = 64
"""Frames that are run, and then sent, together."""

PORTS = 512
"""Ports that machine code sends to; frames for others are handed over."""

AHEAD = 2
"""Slots that are fetched from memory before their turn: another core wrote them."""

LINE = 64
"""Octets of a cache line."""

IOVEC_WORDS = 2


class Control(IntEnum):
    """The words of the packet loop's control block."""

    STOP = 0
    """Not 0: return as soon as the batch that runs is done. Written by Python, which then wakes the poll."""
    EPOCH = 1
    """The address of a word that grows by one whenever packets begin or end to read tables."""
    PORTS = 2
    """How many ports there are."""
    INCOMING = 3
    """The address of the addresses of their receive rings (see `Incoming`)."""
    POLL = 4
    """The address of a struct pollfd for each port, and one more that wakes the loop."""
    OUTPUT = 5
    """The address of room for BATCH frames as they leave."""
    BY_PORT = 6
    """The address of PORTS addresses of a `Sender`, or 0."""
    SENDERS = 7
    """How many ports can be sent to."""
    SENDER_LIST = 8
    """The address of their addresses (see `Sender`)."""
    HANDOVER = 9
    """The address of a `Handover`."""
    RECEIVED = 10
    REFUSED = 11
    """Frames that an interface did not take."""
    OVERFLOWN = 12
    """Frames that could not be handed over."""
    DROPPED_INGRESS = 13
    DROPPED_EGRESS = 14
    LENGTH = 15
    """How many words there are; not a word itself."""


class Sender(IntEnum):
    """The words of a port that frames wait to leave on."""

    WAITING = 0
    VECTORS = 1
    MESSAGES = 2
    SOCKET = 3
    LENGTH = 4


class Batch:
    """Writes `batch(control, incoming, now)`: run the frames that wait in a ring, at most BATCH; how many there were.

    What leaves is queued in the senders; `hand_over(control, incoming, slot, verdict, out)` gets the rest.
    """

    def __init__(self, module: ir.Module, process: ir.Function, hand_over: ir.Function) -> None:
        self.process = process
        self.hand_over = hand_over
        kind = ir.FunctionType(ir.VoidType(), [I8.as_pointer(), I32, I32, I32])
        self.prefetch = ir.Function(module, kind, "llvm.prefetch.p0")
        self.code = Code(module, "batch", 3)
        self.control, self.incoming, self.now = self.code.arguments
        self.out = self.code.variable(self.code.word(self.control, Control.OUTPUT))

    def build(self) -> ir.Function:
        """The function."""
        code, b = self.code, self.code.b
        slots = code.word(self.incoming, Incoming.SLOTS)
        at, taken = code.variable(code.word(self.incoming, Incoming.AT)), code.variable(I64(0))
        with code.loop() as loop:
            loop.leave_if(b.icmp_unsigned("==", code.get(taken), I64(BATCH)))
            slot = self._slot(code.get(at))
            status = waiting(code, slot)
            loop.leave_if(b.icmp_unsigned("==", b.and_(status, I32(STATUS_USER)), I32(0)))
            self._fetch(self._slot(b.urem(b.add(code.get(at), I64(AHEAD)), slots)))
            verdict = code.variable(I64(VERDICT_SLOW << KIND_SHIFT))
            held = b.icmp_unsigned("==", self._field(slot, LENGTH_AT, I32), self._field(slot, HELD_AT, I32))
            whole = b.icmp_unsigned("==", b.and_(status, I32(STATUS_COPY)), I32(0))
            with b.if_then(b.and_(whole, held)):
                with b.if_then(b.icmp_unsigned("!=", b.and_(status, I32(STATUS_VLAN)), I32(0))):
                    self._put_tag_back(slot, status)
                code.set(verdict, self._run(slot))
            self._act(slot, code.get(verdict))
            b.store_atomic(I32(STATUS_KERNEL), self._pointer(slot, STATUS_AT, I32), "release", 4)
            after = b.add(code.get(at), I64(1))
            code.set(at, b.select(b.icmp_unsigned("==", after, slots), I64(0), after))
            code.add(taken, I64(1))
        code.put(self.incoming, Incoming.AT, code.get(at))
        return code.done(code.get(taken))

    def _slot(self, number: ir.Value) -> ir.Value:
        b = self.code.b
        octets = self.code.word(self.incoming, Incoming.SLOT_OCTETS)
        return b.add(self.code.word(self.incoming, Incoming.RING), b.mul(number, octets))

    def _pointer(self, base: ir.Value, octets: int, kind: ir.IntType) -> ir.Value:
        return self.code.b.inttoptr(self.code.b.add(base, I64(octets)), kind.as_pointer())

    def _field(self, slot: ir.Value, octets: int, kind: ir.IntType) -> ir.Value:
        return self.code.b.load(self._pointer(slot, octets, kind), typ=kind)

    def _fetch(self, slot: ir.Value) -> None:
        """A slot's header and the headers of its frame."""
        for line in range(3):
            pointer = self._pointer(slot, line * LINE, I8)
            self.code.b.call(self.prefetch, [pointer, I32(0), I32(3), I32(1)])

    def _put_tag_back(self, slot: ir.Value, status: ir.Value) -> None:
        """A VLAN tag that the kernel took out goes back into the frame; the slot then says that it is there."""
        b = self.code.b
        place = b.zext(self._field(slot, FRAME_AT, I16), I64)
        frame = b.add(slot, place)
        for at, kind in ((0, I64), (8, I32)):
            octets = b.load(self._pointer(frame, at, kind), align=1, typ=kind)
            b.store(octets, self._pointer(frame, at - TAG_OCTETS, kind), align=1)
        known = b.icmp_unsigned("!=", b.and_(status, I32(STATUS_TPID)), I32(0))
        tpid = b.select(known, self._field(slot, TPID_AT, I16), I16(TPID_8021Q))
        for at, value in ((0, tpid), (2, self._field(slot, TCI_AT, I16))):
            b.store(b.bswap(value), self._pointer(frame, TAG_AT - TAG_OCTETS + at, I16), align=1)
        b.store(b.trunc(b.sub(place, I64(TAG_OCTETS)), I16), self._pointer(slot, FRAME_AT, I16))
        for field in (LENGTH_AT, HELD_AT):
            b.store(b.add(self._field(slot, field, I32), I32(TAG_OCTETS)), self._pointer(slot, field, I32))
        b.store(I32(STATUS_USER), self._pointer(slot, STATUS_AT, I32))

    def _run(self, slot: ir.Value) -> ir.Value:
        code, b = self.code, self.code.b
        frame = b.add(slot, b.zext(self._field(slot, FRAME_AT, I16), I64))
        length = b.zext(self._field(slot, LENGTH_AT, I32), I64)
        out = b.inttoptr(code.get(self.out), I8.as_pointer())
        port = code.word(self.incoming, Incoming.NUMBER)
        return b.call(self.process, [b.inttoptr(frame, I8.as_pointer()), length, port, self.now, out])

    def _act(self, slot: ir.Value, verdict: ir.Value) -> None:
        """Queue the frame, or count it as dropped, or hand it over."""
        code, b = self.code, self.code.b
        kind, rest = b.lshr(verdict, I64(KIND_SHIFT)), code.variable(I64(1))
        with b.if_else(b.icmp_unsigned("==", kind, I64(VERDICT_SEND))) as (send, other):
            with send:
                port = b.and_(b.lshr(verdict, I64(PORT_SHIFT)), I64(0xFFFFFF))
                with b.if_then(b.icmp_unsigned("<", port, I64(PORTS))):
                    sender = code.word(code.word(self.control, Control.BY_PORT), port)
                    with b.if_then(b.icmp_unsigned("!=", sender, I64(0))):
                        self._queue(sender, b.and_(verdict, I64(0xFFFFFFFF)))
                        code.set(rest, I64(0))
            with other, b.if_then(b.icmp_unsigned("!=", kind, I64(VERDICT_SLOW))):
                first = b.icmp_unsigned("==", kind, I64(VERDICT_DROP_INGRESS))
                assert VERDICT_DROP_EGRESS == VERDICT_DROP_INGRESS + 1
                word = b.select(first, I64(int(Control.DROPPED_INGRESS)), I64(int(Control.DROPPED_EGRESS)))
                code.put(self.control, word, b.add(code.word(self.control, word), I64(1)))
                code.set(rest, I64(0))
        with b.if_then(b.icmp_unsigned("!=", code.get(rest), I64(0))):
            b.call(self.hand_over, [self.control, self.incoming, slot, verdict, code.get(self.out)])

    def _queue(self, sender: ir.Value, length: ir.Value) -> None:
        code, b = self.code, self.code.b
        number, vectors = code.word(sender, Sender.WAITING), code.word(sender, Sender.VECTORS)
        at = b.mul(number, I64(IOVEC_WORDS))
        code.put(vectors, at, code.get(self.out))
        code.put(vectors, b.add(at, I64(1)), length)
        code.put(sender, Sender.WAITING, b.add(number, I64(1)))
        # The next one begins on a line of its own.
        code.add(self.out, b.and_(b.add(length, I64(LINE - 1)), I64(-LINE)))


def waiting(code: Code, slot: ir.Value) -> ir.Value:
    """The status of a slot: what the kernel wrote before is there."""
    return code.b.load_atomic(code.b.inttoptr(slot, I32.as_pointer()), "acquire", 4, typ=I32)
