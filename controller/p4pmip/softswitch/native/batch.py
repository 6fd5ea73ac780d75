"""Many packets in one call: from the messages of recvmmsg(2) to those of sendmmsg(2)."""

from enum import IntEnum

from llvmlite import ir  # type: ignore[import-untyped]

from p4pmip.softswitch.native.bits import I8, I32, I64
from p4pmip.softswitch.native.layout import (
    KIND_SHIFT,
    PORT_SHIFT,
    VERDICT_DROP_EGRESS,
    VERDICT_DROP_INGRESS,
    VERDICT_SEND,
    VERDICT_SLOW,
)

MESSAGE_OCTETS, MESSAGE_LENGTH_AT, CONTROL_LENGTH_AT, FLAGS_AT = 64, 56, 40, 48
"""struct mmsghdr: its size, and where msg_len, msg_controllen and msg_flags stand."""

IOVEC_OCTETS = 16
AUXDATA_AT = 16
"""Where struct tpacket_auxdata begins in its control message; its first word is the status."""

VLAN_VALID = 0x10
TRUNCATED = 0x20
"""MSG_TRUNC in msg_flags."""

PORTS = 512
"""Ports that machine code sends to; frames for others are handed back."""

HANDLED = 0


class Job(IntEnum):
    """The words of a job."""

    MESSAGES = 0
    COUNT = 1
    INPUT = 2
    INPUT_STRIDE = 3
    OUTPUT = 4
    OUTPUT_STRIDE = 5
    PORT = 6
    NOW = 7
    RESULTS = 8
    CONTROL = 9
    CONTROL_STRIDE = 10
    SENDERS = 11
    DROPPED_INGRESS = 12
    DROPPED_EGRESS = 13
    LENGTH = 14
    """How many words a job has; not a word itself."""


def define_batch(module: ir.Module, process: ir.Function) -> ir.Function:
    """`batch(job)`: run all packets; how many are left to the caller (their results are not HANDLED).

    `SENDERS` is an array, by port, of addresses of (count, address of iovecs), or 0.
    """
    function = ir.Function(module, ir.FunctionType(I64, [I64.as_pointer()]), "batch")
    (job,) = function.args
    entry = function.append_basic_block("entry")
    head, body, follow = (function.append_basic_block(name) for name in ("head", "body", "follow"))
    whole, done = function.append_basic_block("whole"), function.append_basic_block("done")
    b = ir.IRBuilder(entry)
    at, left, result = b.alloca(I64), b.alloca(I64), b.alloca(I64)
    b.store(I64(0), at)
    b.store(I64(0), left)

    def word(which: int) -> ir.Value:
        return b.load(b.gep(job, [I64(int(which))], source_etype=I64), typ=I64)

    def field(base: ir.Value, octets: int, kind: ir.IntType) -> ir.Value:
        return b.inttoptr(b.add(base, I64(octets)), kind.as_pointer())

    count = word(Job.COUNT)
    b.branch(head)
    b.position_at_end(head)
    index = b.load(at, typ=I64)
    b.cbranch(b.icmp_unsigned("<", index, count), body, done)

    b.position_at_end(body)
    message = b.add(word(Job.MESSAGES), b.mul(index, I64(MESSAGE_OCTETS)))
    length = b.zext(b.load(field(message, MESSAGE_LENGTH_AT, I32), typ=I32), I64)
    flags = b.load(field(message, FLAGS_AT, I32), typ=I32)
    control = b.add(word(Job.CONTROL), b.mul(index, word(Job.CONTROL_STRIDE)))
    status = b.load(field(control, AUXDATA_AT, I32), typ=I32)
    b.store(word(Job.CONTROL_STRIDE), field(message, CONTROL_LENGTH_AT, I64))
    b.store(I64(VERDICT_SLOW << KIND_SHIFT), result)
    tagged = b.and_(status, I32(VLAN_VALID))
    cut = b.and_(flags, I32(TRUNCATED))
    address_in = b.add(word(Job.INPUT), b.mul(index, word(Job.INPUT_STRIDE)))
    address_out = b.add(word(Job.OUTPUT), b.mul(index, word(Job.OUTPUT_STRIDE)))
    b.cbranch(b.icmp_unsigned("==", b.or_(tagged, cut), I32(0)), whole, follow)

    b.position_at_end(whole)
    verdict = b.call(
        process,
        [
            b.inttoptr(address_in, I8.as_pointer()),
            length,
            word(Job.PORT),
            word(Job.NOW),
            b.inttoptr(address_out, I8.as_pointer()),
        ],
    )
    b.store(verdict, result)
    send, other = function.append_basic_block("send"), function.append_basic_block("other")
    kind = b.lshr(verdict, I64(KIND_SHIFT))
    b.cbranch(b.icmp_unsigned("==", kind, I64(VERDICT_SEND)), send, other)

    b.position_at_end(other)
    drop = function.append_basic_block("drop")
    b.cbranch(b.icmp_unsigned("==", kind, I64(VERDICT_SLOW)), follow, drop)
    b.position_at_end(drop)
    assert VERDICT_DROP_EGRESS - VERDICT_DROP_INGRESS == Job.DROPPED_EGRESS - Job.DROPPED_INGRESS
    which = b.add(kind, I64(Job.DROPPED_INGRESS - VERDICT_DROP_INGRESS))
    cell = b.gep(job, [which], source_etype=I64)
    b.store(b.add(b.load(cell, typ=I64), I64(1)), cell)
    b.store(I64(HANDLED), result)
    b.branch(follow)

    b.position_at_end(send)
    port = b.and_(b.lshr(verdict, I64(PORT_SHIFT)), I64(0xFFFFFF))
    known, queue = function.append_basic_block("known"), function.append_basic_block("queue")
    b.cbranch(b.icmp_unsigned("<", port, I64(PORTS)), known, follow)
    b.position_at_end(known)
    senders = b.inttoptr(word(Job.SENDERS), I64.as_pointer())
    sender = b.load(b.gep(senders, [port], source_etype=I64), typ=I64)
    b.cbranch(b.icmp_unsigned("!=", sender, I64(0)), queue, follow)
    b.position_at_end(queue)
    queued = b.inttoptr(sender, I64.as_pointer())
    number = b.load(queued, typ=I64)
    vectors = b.load(b.gep(queued, [I64(1)], source_etype=I64), typ=I64)
    vector = b.inttoptr(b.add(vectors, b.mul(number, I64(IOVEC_OCTETS))), I64.as_pointer())
    b.store(address_out, vector)
    b.store(b.and_(verdict, I64(0xFFFFFFFF)), b.gep(vector, [I64(1)], source_etype=I64))
    b.store(b.add(number, I64(1)), queued)
    b.store(I64(HANDLED), result)
    b.branch(follow)

    b.position_at_end(follow)
    final = b.load(result, typ=I64)
    results = b.inttoptr(word(Job.RESULTS), I64.as_pointer())
    handled = b.icmp_unsigned("==", final, I64(HANDLED))
    b.store(final, b.gep(results, [index], source_etype=I64))
    b.store(b.add(b.load(left, typ=I64), b.select(handled, I64(0), I64(1))), left)
    b.store(b.add(index, I64(1)), at)
    b.branch(head)

    b.position_at_end(done)
    b.ret(b.load(left, typ=I64))
    return function
