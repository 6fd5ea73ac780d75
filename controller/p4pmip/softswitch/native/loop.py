"""The packet loop in machine code: wait, receive, run, send, again; Python only hears of what it must do itself.

    loop(control) -> 0 when it was told to stop, else 1 + the place of a port that has an error

`control` is an array of words (`Control`). Frames that machine code cannot finish are copied into a ring (`Handover`)
for the interpreter in another thread, which is woken by an eventfd; where it is full they are dropped and counted.
"""

import time
from enum import IntEnum

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.native.batch import Batch, Control, Sender, waiting
from p4pmip.softswitch.native.bits import I1, I8, I16, I32, I64
from p4pmip.softswitch.native.code import Code
from p4pmip.softswitch.native.layout import KIND_SHIFT, VERDICT_SEND
from p4pmip.softswitch.ports.ring import (
    FRAME_AT,
    HELD_AT,
    LENGTH_AT,
    STATUS_COPY,
    STATUS_USER,
    TCI_AT,
    Incoming,
)

MSG_DONTWAIT = 0x40
MESSAGE_OCTETS = 64
"""Of a struct mmsghdr."""
POLLFD_OCTETS, REVENTS_AT = 8, 6
POLLERR, POLLNVAL = 8, 0x20


class Handover(IntEnum):
    """The words of the ring: one thread puts frames in at HEAD, another takes them out at TAIL; both only grow."""

    HEAD = 0
    TAIL = 1
    MASK = 2
    """Its places less one; they are a power of two."""
    PLACES = 3
    """The address of the first place."""
    STRIDE = 4
    """Octets of a place."""
    WAKE = 5
    """An eventfd."""
    LENGTH = 6


class Place(IntEnum):
    """The words of a place in the ring, before its frame."""

    RESULT = 0
    """What machine code said: the frame leaves on a port that is none of these, or is the interpreter's."""
    PORT = 1
    """Where it came in."""
    SIZE = 2
    STATUS = 3
    """Of its slot: whether a VLAN tag was taken out of it."""
    TAG = 4
    """That tag: TCI and TPID, from the slot's header."""
    FRAME = 5


class _Calls:
    """The functions of libc that the loop calls."""

    def __init__(self, module: ir.Module) -> None:
        def known(name: str, result: ir.Type, *arguments: ir.Type) -> ir.Function:
            return ir.Function(module, ir.FunctionType(result, arguments), name)

        self.poll = known("poll", I32, I64, I64, I32)
        self.recv = known("recv", I64, I32, I64, I64, I32)
        self.sendmmsg = known("sendmmsg", I32, I32, I64, I32, I32)
        self.clock_gettime = known("clock_gettime", I32, I32, I64)
        self.write = known("write", I64, I32, I64, I64)
        self.copy = module.declare_intrinsic("llvm.memcpy", [I8.as_pointer(), I8.as_pointer(), I64])


def _send_all(module: ir.Module, calls: _Calls) -> ir.Function:
    """Send what waits on one port; how many frames the interface did not take."""
    code = Code(module, "send_all", 1)
    (sender,) = code.arguments
    b = code.b
    waits = code.word(sender, Sender.WAITING)
    code.put(sender, Sender.WAITING, I64(0))
    socket = b.trunc(code.word(sender, Sender.SOCKET), I32)
    messages = code.word(sender, Sender.MESSAGES)
    at, refused = code.variable(I64(0)), code.variable(I64(0))
    with code.loop() as loop:
        begin = code.get(at)
        loop.leave_if(b.icmp_unsigned(">=", begin, waits))
        first = b.add(messages, b.mul(begin, I64(MESSAGE_OCTETS)))
        count = b.trunc(b.sub(waits, begin), I32)
        sent = b.sext(b.call(calls.sendmmsg, [socket, first, count, I32(MSG_DONTWAIT)]), I64)
        # The first of them is refused; those behind it may not be.
        none = b.icmp_signed("<=", sent, I64(0))
        code.add(refused, b.zext(none, I64))
        code.add(at, b.select(none, I64(1), sent))
    return code.done(code.get(refused))


def _tally(code: Code, control: ir.Value, word: Control, amount: ir.Value) -> None:
    code.put(control, word, code.b.add(code.word(control, word), amount))


def _hand_over(module: ir.Module, calls: _Calls) -> ir.Function:
    """Copy one frame into the ring: the one that leaves, or the one that came."""
    code = Code(module, "hand_over", 5)
    control, incoming, slot, result, out = code.arguments
    b = code.b
    ring = code.word(control, Control.HANDOVER)
    head, mask = code.word(ring, Handover.HEAD), code.word(ring, Handover.MASK)
    stride = code.word(ring, Handover.STRIDE)
    place = b.add(code.word(ring, Handover.PLACES), b.mul(b.and_(head, mask), stride))
    into, room = b.add(place, I64(8 * Place.FRAME)), b.sub(stride, I64(8 * Place.FRAME))
    status, length = _field(code, slot, 0, I32), b.zext(_field(code, slot, LENGTH_AT, I32), I64)
    leaves = b.icmp_unsigned("==", b.lshr(result, I64(KIND_SHIFT)), I64(VERDICT_SEND))
    copied = b.icmp_unsigned("!=", b.and_(status, I32(STATUS_COPY)), I32(0))
    size = code.variable(I64(0))
    used = b.sub(head, code.acquire(ring, Handover.TAIL))
    with b.if_else(copied) as (elsewhere, here):
        with elsewhere:
            # It is too long for its slot and waits in the socket: it must be taken even if there is no room.
            socket = b.trunc(code.word(incoming, Incoming.FILE), I32)
            full = b.icmp_unsigned(">", used, mask)
            most = b.select(full, I64(0), room)
            code.set(size, b.call(calls.recv, [socket, into, most, I32(MSG_DONTWAIT)]))
        with here:
            held = b.icmp_unsigned("==", _field(code, slot, HELD_AT, I32), _field(code, slot, LENGTH_AT, I32))
            came = b.select(held, length, I64(0))
            code.set(size, b.select(leaves, b.and_(result, I64(0xFFFFFFFF)), came))
    fits = b.and_(b.icmp_unsigned("<=", used, mask), b.icmp_unsigned("<=", code.get(size), room))
    with b.if_else(b.and_(fits, b.icmp_unsigned("!=", code.get(size), I64(0)))) as (good, lost):
        with good:
            with b.if_then(b.not_(copied)):
                frame = b.add(slot, b.zext(_field(code, slot, FRAME_AT, I16), I64))
                source = b.inttoptr(b.select(leaves, out, frame), I8.as_pointer())
                b.call(calls.copy, [b.inttoptr(into, I8.as_pointer()), source, code.get(size), I1(0)])
            for word, value in (
                (Place.RESULT, result),
                (Place.PORT, code.word(incoming, Incoming.NUMBER)),
                (Place.SIZE, code.get(size)),
                (Place.STATUS, b.zext(status, I64)),
                (Place.TAG, b.zext(_field(code, slot, TCI_AT, I32), I64)),
            ):
                code.put(place, word, value)
            code.publish(ring, Handover.HEAD, b.add(head, I64(1)))
        with lost:
            _tally(code, control, Control.OVERFLOWN, I64(1))
    return code.done(I64(0))


def _field(code: Code, slot: ir.Value, octets: int, kind: ir.IntType) -> ir.Value:
    return code.b.load(code.b.inttoptr(code.b.add(slot, I64(octets)), kind.as_pointer()), typ=kind)


def _serve(module: ir.Module, calls: _Calls, batch: ir.Function) -> ir.Function:
    """`serve(control, incoming)`: one batch of a port, if there is one; how many frames."""
    code = Code(module, "serve", 2)
    control, incoming = code.arguments
    b = code.b
    octets = b.mul(code.word(incoming, Incoming.AT), code.word(incoming, Incoming.SLOT_OCTETS))
    status = waiting(code, b.add(code.word(incoming, Incoming.RING), octets))
    count = code.variable(I64(0))
    with b.if_then(b.icmp_unsigned("!=", b.and_(status, I32(STATUS_USER)), I32(0))):
        moment = b.ptrtoint(code.variables(2), I64)
        b.call(calls.clock_gettime, [I32(time.CLOCK_MONOTONIC), moment])
        now = b.add(b.mul(code.word(moment, 0), I64(1_000_000)), b.udiv(code.word(moment, 1), I64(1000)))
        epoch, ring = code.word(control, Control.EPOCH), code.word(control, Control.HANDOVER)
        head = code.word(ring, Handover.HEAD)
        b.atomic_rmw("add", code.address(epoch, 0), I64(1), "seq_cst")
        code.set(count, b.call(batch, [control, incoming, now]))
        b.atomic_rmw("add", code.address(epoch, 0), I64(1), "seq_cst")
        with b.if_then(b.icmp_unsigned("!=", code.word(ring, Handover.HEAD), head)):
            one = code.variable(I64(1))
            wake = b.trunc(code.word(ring, Handover.WAKE), I32)
            b.call(calls.write, [wake, b.ptrtoint(one, I64), I64(8)])
        send_all = _send_all(module, calls)
        senders = code.word(control, Control.SENDER_LIST)
        with code.count(code.word(control, Control.SENDERS)) as at:
            sender = code.word(senders, at)
            with b.if_then(b.icmp_unsigned("!=", code.word(sender, Sender.WAITING), I64(0))):
                _tally(code, control, Control.REFUSED, b.call(send_all, [sender]))
        _tally(code, control, Control.RECEIVED, code.get(count))
    return code.done(code.get(count))


def define_loop(module: ir.Module, process: ir.Function) -> ir.Function:
    """The loop around `process`."""
    calls = _Calls(module)
    serve = _serve(module, calls, Batch(module, process, _hand_over(module, calls)).build())
    code = Code(module, "loop", 1)
    (control,) = code.arguments
    b = code.b
    poll, ports = code.word(control, Control.POLL), code.word(control, Control.PORTS)
    done, failed = code.variable(I64(0)), code.variable(I64(0))
    with code.loop() as loop:
        stop = b.icmp_unsigned("!=", code.acquire(control, Control.STOP), I64(0))
        loop.leave_if(b.or_(stop, b.icmp_unsigned("!=", code.get(failed), I64(0))))
        code.set(done, I64(0))
        with code.count(ports) as index:
            code.add(done, b.call(serve, [control, code.word(code.word(control, Control.INCOMING), index)]))
        # While frames come, nothing is asked of the kernel but to send.
        with b.if_then(b.icmp_unsigned("==", code.get(done), I64(0))):
            b.call(calls.poll, [poll, b.add(ports, I64(1)), I32(-1)])
            with code.count(ports) as index:
                events = _field(code, b.add(poll, b.mul(index, I64(POLLFD_OCTETS))), REVENTS_AT, I16)
                wrong = b.icmp_unsigned("!=", b.and_(events, I16(POLLERR | POLLNVAL)), I16(0))
                code.set(failed, b.select(wrong, b.add(index, I64(1)), code.get(failed)))
    return code.done(code.get(failed))
