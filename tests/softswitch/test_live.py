"""Tables change while machine code reads them: no packet sees a half-written entry, misses one, or waits."""

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from p4pmip.softswitch.native.layout import KIND_SHIFT, VERDICT_SEND
from p4pmip.softswitch.target.bytestring import encode
from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.running import Running
from p4pmip.softswitch.target.stubs import p4runtime

FRAME = bytes.fromhex("000000000002000000000001080045000021000100000811e4c5c00002020a0102030035003c000ded8a68656c6c6f")
SOURCES = (0x010203040506, 0x0A0B0C0D0E0F)
INSERT, MODIFY, DELETE = p4runtime.Update.INSERT, p4runtime.Update.MODIFY, p4runtime.Update.DELETE
ROUNDS = 3000


class Router:
    """router.p4 in machine code, with a route to next hop 5."""

    def __init__(self, config: "p4runtime.ForwardingPipelineConfig") -> None:
        self.running = Running(load(config, 511))
        native = self.running.pipeline.use_native(510)
        assert native is not None
        self.native = native
        self.tables = {one.alias: one for one in self.running.schema.tables.values()}
        update = p4runtime.Update(type=INSERT)
        into = update.entity.table_entry
        into.table_id = self.tables["route"].id
        lpm = into.match.add(field_id=1).lpm
        lpm.value, lpm.prefix_len = bytes([10, 0, 0, 0]), 8
        self._act(into, "set_nexthop", 5)
        self.running.write(update, 0.0)
        self.nexthop(INSERT, 5, SOURCES[0])

    def _act(self, into: "p4runtime.TableEntry", name: str, *values: int) -> None:
        ref = next(one for table in self.tables.values() for one in table.actions.values() if one.name.endswith(name))
        into.action.action.action_id = ref.id
        for (parameter, _, _), value in zip(ref.parameters, values, strict=True):
            into.action.action.params.add(param_id=parameter, value=encode(value))

    def nexthop(self, kind: int, number: int, source: int) -> None:
        """A next hop whose two addresses are the same octets, one in each order."""
        update = p4runtime.Update(type=kind)  # type: ignore[arg-type]
        into = update.entity.table_entry
        into.table_id = self.tables["nexthop"].id
        into.match.add(field_id=1).exact.value = encode(number)
        self._act(into, "forward", 2, source, int.from_bytes(source.to_bytes(6, "big")[::-1], "big"))
        self.running.write(update, 0.0)

    def forward(self, out: Any) -> int:
        """One packet, as the packet loop runs it; 0 if it came out whole."""
        self.native.epoch.word[0] += 1
        result = self.native.machine.process(self._frame(), len(FRAME), 1, 0, ctypes.addressof(out))
        self.native.epoch.word[0] += 1
        left = ctypes.string_at(out, 12)
        whole = left[:6] == left[6:][::-1] and int.from_bytes(left[6:], "big") in SOURCES
        return 0 if result >> KIND_SHIFT == VERDICT_SEND and whole else 1

    def _frame(self) -> int:
        return ctypes.addressof(FRAME_BUFFER)

    @contextmanager
    def forwarding(self) -> Iterator[list[int]]:
        """Packets run in another thread meanwhile; yields (packets, wrong ones)."""
        counts, stop = [0, 0], threading.Event()

        def loop() -> None:
            out = ctypes.create_string_buffer(4096)
            while not stop.is_set():
                counts[1] += self.forward(out)
                counts[0] += 1

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield counts
        finally:
            stop.set()
            thread.join()


FRAME_BUFFER = ctypes.create_string_buffer(FRAME, len(FRAME))


@pytest.fixture
def router(program: Callable[[str], "p4runtime.ForwardingPipelineConfig"]) -> Router:
    """The program with two entries."""
    return Router(program("router"))


def test_an_entry_is_rewritten_under_packets(router: Router) -> None:
    with router.forwarding() as counts:
        for turn in range(ROUNDS):
            router.nexthop(MODIFY, 5, SOURCES[turn % 2])
        while counts[0] < ROUNDS:
            router.nexthop(MODIFY, 5, SOURCES[0])
    assert counts[1] == 0


def test_entries_come_and_go_around_the_one_that_is_hit(router: Router) -> None:
    """The slots of the table grow and shrink, and are used again."""
    with router.forwarding() as counts:
        for _ in range(4):
            for kind in (INSERT, DELETE):
                for number in range(100, 100 + ROUNDS // 4):
                    router.nexthop(kind, number, 0xDEADBEEF0001)
        while not counts[0]:
            router.nexthop(MODIFY, 5, SOURCES[1])
    assert counts[1] == 0


def test_memory_is_not_used_again_while_a_packet_may_read_it(router: Router) -> None:
    epoch = router.native.epoch
    mirror = router.native.tables["router_ingress.nexthop"]
    (entry,) = router.running.pipeline.tables["router_ingress.nexthop"].by_key.values()
    epoch.word[0] = 2
    _, _, address = mirror._held[entry].records[0]
    words = mirror._layout.entry_words
    before = ctypes.string_at(address, 8 * words)
    for turn in range(100):
        router.nexthop(MODIFY, 5, SOURCES[turn % 2])
        router.nexthop(INSERT, 100 + turn, SOURCES[0])
    assert ctypes.string_at(address, 8 * words) == before, "a packet still reads this"
    assert len(epoch) >= 100
    epoch.word[0] = 3
    router.nexthop(MODIFY, 5, SOURCES[1])
    assert len(epoch) == 0, "the packets have gone"
    for turn in range(100):
        router.nexthop(MODIFY, 5, SOURCES[turn % 2])
    blocks = {id(one[0]) for one in mirror._records.free}
    assert len(blocks) == 1, "what is retired is used again"


def test_a_changed_entry_keeps_its_counter(router: Router) -> None:
    """`route` has a direct counter."""
    out = ctypes.create_string_buffer(4096)
    table = router.running.pipeline.tables["router_ingress.route"]
    (entry,) = table.by_key.values()
    for _ in range(3):
        assert router.forward(out) == 0
        entry.metadata = b"changed"
        table.changed(entry)
    table.collect(entry)
    assert (entry.packets, entry.octets) == (3, 3 * len(FRAME))
    table.collect(entry)
    assert entry.packets == 3
