"""The packet loop in machine code: wait, receive, run, send, again; Python only hears of what it must do itself.

    loop(control) -> 0 when it was told to stop, else 1 + the place of a port that cannot be received from

`control` is an array of words (`Control`). Frames that machine code cannot finish are copied into a ring (`Ring`) for
the interpreter in another thread, which is woken by an eventfd; where the ring is full they are dropped and counted.
"""

import time
from enum import IntEnum

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.native.batch import MESSAGE_LENGTH_AT, MESSAGE_OCTETS, Job
from p4pmip.softswitch.native.bits import I1, I8, I32, I64
from p4pmip.softswitch.native.code import Code
from p4pmip.softswitch.native.layout import KIND_SHIFT, VERDICT_SEND

MSG_DONTWAIT = 0x40
EAGAIN, EINTR = 11, 4
POLLFD_OCTETS, REVENTS_AT = 8, 6


class Control(IntEnum):
    """The words of the loop's control block."""

    STOP = 0
    """Not 0: return as soon as the batch that runs is done. Written by Python, which then wakes the poll."""
    EPOCH = 1
    """The address of a word that grows by one whenever packets begin or end to read tables."""
    JOB = 2
    """The address of the job (see `batch`)."""
    CAPACITY = 3
    """How many messages the job has."""
    PORTS = 4
    """How many ports there are."""
    POLL = 5
    """The address of a struct pollfd for each port, and one more that wakes the loop."""
    NUMBERS = 6
    """The address of the port number of each."""
    SENDERS = 7
    """How many ports can be sent to."""
    SENDER_LIST = 8
    """The address of their addresses (see `Sender`)."""
    RING = 9
    """The address of the ring (see `Ring`)."""
    RECEIVED = 10
    REFUSED = 11
    """Frames that an interface did not take."""
    OVERFLOWN = 12
    """Frames for which the ring had no room."""
    LENGTH = 13
    """How many words there are; not a word itself."""


class Sender(IntEnum):
    """The words of a port that frames wait to leave on."""

    WAITING = 0
    VECTORS = 1
    MESSAGES = 2
    SOCKET = 3
    LENGTH = 4


class Ring(IntEnum):
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
    TAG = 3
    """The auxdata of the frame (its VLAN tag), as many words as TAG_WORDS."""
    FRAME = 6


TAG_WORDS = Place.FRAME - Place.TAG
AUXDATA_AT = 16


class _Calls:
    """The functions of libc that the loop calls."""

    def __init__(self, module: ir.Module) -> None:
        def known(name: str, result: ir.Type, *arguments: ir.Type) -> ir.Function:
            return ir.Function(module, ir.FunctionType(result, arguments), name)

        self.poll = known("poll", I32, I64, I64, I32)
        self.recvmmsg = known("recvmmsg", I32, I32, I64, I32, I32, I64)
        self.sendmmsg = known("sendmmsg", I32, I32, I64, I32, I32)
        self.clock_gettime = known("clock_gettime", I32, I32, I64)
        self.write = known("write", I64, I32, I64, I64)
        self.errno = known("__errno_location", I64)
        self.copy = module.declare_intrinsic("llvm.memcpy", [I8.as_pointer(), I8.as_pointer(), I64])


def _send_all(module: ir.Module, calls: _Calls) -> ir.Function:
    """Send what waits on one port; how many frames the interface did not take."""
    code = Code(module, "send_all", 1)
    (sender,) = code.arguments
    b = code.b
    waiting = code.word(sender, Sender.WAITING)
    code.put(sender, Sender.WAITING, I64(0))
    socket = b.trunc(code.word(sender, Sender.SOCKET), I32)
    messages = code.word(sender, Sender.MESSAGES)
    at, refused = code.variable(I64(0)), code.variable(I64(0))
    with code.loop() as loop:
        begin = code.get(at)
        loop.leave_if(b.icmp_unsigned(">=", begin, waiting))
        first = b.add(messages, b.mul(begin, I64(MESSAGE_OCTETS)))
        count = b.trunc(b.sub(waiting, begin), I32)
        sent = b.sext(b.call(calls.sendmmsg, [socket, first, count, I32(MSG_DONTWAIT)]), I64)
        # The first of them is refused; those behind it may not be.
        none = b.icmp_signed("<=", sent, I64(0))
        code.add(refused, b.zext(none, I64))
        code.add(at, b.select(none, I64(1), sent))
    return code.done(code.get(refused))


def _hand_over(module: ir.Module, calls: _Calls) -> ir.Function:
    """Copy what the batch has left into the ring; how many had no room."""
    code = Code(module, "hand_over", 2)
    job, ring = code.arguments
    b = code.b
    lost = code.variable(I64(0))
    head = code.word(ring, Ring.HEAD)
    put = code.variable(head)
    with code.count(code.word(job, Job.COUNT)) as index:
        result = code.word(code.word(job, Job.RESULTS), index)
        with b.if_then(b.icmp_unsigned("!=", result, I64(0))):
            used = b.sub(code.get(put), code.acquire(ring, Ring.TAIL))
            with b.if_else(b.icmp_unsigned(">", used, code.word(ring, Ring.MASK))) as (full, free):
                with full:
                    code.add(lost, I64(1))
                with free:
                    _copy(code, calls, job, ring, index, result, code.get(put))
                    code.add(put, I64(1))
    with b.if_then(b.icmp_unsigned("!=", code.get(put), head)):
        code.publish(ring, Ring.HEAD, code.get(put))
        one = code.variable(I64(1))
        wake = b.trunc(code.word(ring, Ring.WAKE), I32)
        b.call(calls.write, [wake, b.ptrtoint(one, I64), I64(8)])
    return code.done(code.get(lost))


def _copy(
    code: Code, calls: _Calls, job: ir.Value, ring: ir.Value, index: ir.Value, result: ir.Value, put: ir.Value
) -> None:
    """One frame into its place: the one that leaves, or the one that came."""
    b = code.b
    at = b.and_(put, code.word(ring, Ring.MASK))
    place = b.add(code.word(ring, Ring.PLACES), b.mul(at, code.word(ring, Ring.STRIDE)))
    code.put(place, Place.RESULT, result)
    code.put(place, Place.PORT, code.word(job, Job.PORT))
    control = b.add(code.word(job, Job.CONTROL), b.mul(index, code.word(job, Job.CONTROL_STRIDE)))
    for word in range(TAG_WORDS):
        code.put(place, Place.TAG + word, code.word(control, AUXDATA_AT // 8 + word))
    leaves = b.icmp_unsigned("==", b.lshr(result, I64(KIND_SHIFT)), I64(VERDICT_SEND))
    message = b.add(code.word(job, Job.MESSAGES), b.mul(index, I64(MESSAGE_OCTETS)))
    length = b.load(b.inttoptr(b.add(message, I64(MESSAGE_LENGTH_AT)), I32.as_pointer()), typ=I32)
    came = b.add(code.word(job, Job.INPUT), b.mul(index, code.word(job, Job.INPUT_STRIDE)))
    left = b.add(code.word(job, Job.OUTPUT), b.mul(index, code.word(job, Job.OUTPUT_STRIDE)))
    size = b.select(leaves, b.and_(result, I64(0xFFFFFFFF)), b.zext(length, I64))
    code.put(place, Place.SIZE, size)
    into = b.inttoptr(b.add(place, I64(8 * Place.FRAME)), I8.as_pointer())
    b.call(calls.copy, [into, b.inttoptr(b.select(leaves, left, came), I8.as_pointer()), size, I1(0)])


def define_loop(module: ir.Module, batch: ir.Function) -> ir.Function:
    """The loop around `batch`."""
    calls = _Calls(module)
    send_all, hand_over = _send_all(module, calls), _hand_over(module, calls)
    code = Code(module, "loop", 1)
    (control,) = code.arguments
    b = code.b
    job, epoch = code.word(control, Control.JOB), code.word(control, Control.EPOCH)
    poll, ports = code.word(control, Control.POLL), code.word(control, Control.PORTS)
    messages, capacity = code.word(job, Job.MESSAGES), b.trunc(code.word(control, Control.CAPACITY), I32)
    moment, failed = code.variables(2), code.variable(I64(0))

    def ready(index: ir.Value) -> ir.Value:
        at = b.add(poll, b.add(b.mul(index, I64(POLLFD_OCTETS)), I64(REVENTS_AT)))
        events = b.load(b.inttoptr(at, ir.IntType(16).as_pointer()), typ=ir.IntType(16))
        return b.icmp_unsigned("!=", events, events.type(0))

    def serve(index: ir.Value) -> None:
        socket = b.load(b.inttoptr(b.add(poll, b.mul(index, I64(POLLFD_OCTETS))), I32.as_pointer()), typ=I32)
        count = b.call(calls.recvmmsg, [socket, messages, capacity, I32(MSG_DONTWAIT), I64(0)])
        with b.if_else(b.icmp_signed(">", count, I32(0))) as (some, none):
            with some:
                run(index, b.zext(count, I64))
            with none:
                error = b.load(b.inttoptr(b.call(calls.errno, []), I32.as_pointer()), typ=I32)
                passes = b.or_(b.icmp_signed("==", error, I32(EAGAIN)), b.icmp_signed("==", error, I32(EINTR)))
                passes = b.or_(passes, b.icmp_signed("==", count, I32(0)))
                code.set(failed, b.select(passes, code.get(failed), b.add(index, I64(1))))

    def run(index: ir.Value, count: ir.Value) -> None:
        b.call(calls.clock_gettime, [I32(time.CLOCK_MONOTONIC), b.ptrtoint(moment, I64)])
        seconds, nanoseconds = code.word(b.ptrtoint(moment, I64), 0), code.word(b.ptrtoint(moment, I64), 1)
        now = b.add(b.mul(seconds, I64(1_000_000)), b.udiv(nanoseconds, I64(1000)))
        for word, value in (
            (Job.COUNT, count),
            (Job.PORT, code.word(code.word(control, Control.NUMBERS), index)),
            (Job.NOW, now),
        ):
            code.put(job, word, value)
        b.atomic_rmw("add", code.address(epoch, 0), I64(1), "seq_cst")
        left = b.call(batch, [b.inttoptr(job, I64.as_pointer())])
        b.atomic_rmw("add", code.address(epoch, 0), I64(1), "seq_cst")
        with b.if_then(b.icmp_unsigned("!=", left, I64(0))):
            tally(Control.OVERFLOWN, b.call(hand_over, [job, code.word(control, Control.RING)]))
        senders = code.word(control, Control.SENDER_LIST)
        with code.count(code.word(control, Control.SENDERS)) as at:
            sender = code.word(senders, at)
            with b.if_then(b.icmp_unsigned("!=", code.word(sender, Sender.WAITING), I64(0))):
                tally(Control.REFUSED, b.call(send_all, [sender]))
        tally(Control.RECEIVED, count)

    def tally(word: Control, amount: ir.Value) -> None:
        code.put(control, word, b.add(code.word(control, word), amount))

    with code.loop() as loop:
        stop = b.icmp_unsigned("!=", code.acquire(control, Control.STOP), I64(0))
        loop.leave_if(b.or_(stop, b.icmp_unsigned("!=", code.get(failed), I64(0))))
        b.call(calls.poll, [poll, b.add(ports, I64(1)), I32(-1)])
        with code.count(ports) as index, b.if_then(ready(index)):
            serve(index)
    return code.done(code.get(failed))
