"""Digests: lists of what the program learnt, acknowledged by the controller (P4Runtime §9.9, §16.2)."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from p4pmip.softswitch.target.bytestring import encode
from p4pmip.softswitch.target.refusal import Code, Refusal, invalid, not_found
from p4pmip.softswitch.target.schema import Schema
from p4pmip.softswitch.target.stubs import p4data, p4runtime
from p4pmip.softswitch.target.update import DELETE, INSERT, Undo

DIGESTS_LIMIT = 4096
"""Messages in one list where the controller does not say."""

Values = tuple[int, ...]


@dataclass(slots=True)
class Subscription:
    """One digest that the controller wants, what waits to be sent and what waits for its acknowledgement."""

    entry: "p4runtime.DigestEntry"
    waiting: dict[Values, float] = field(default_factory=dict)
    sent: dict[int, tuple[float, frozenset[Values]]] = field(default_factory=dict)

    def is_known(self, values: Values) -> bool:
        """Whether it waits already, or was sent and is not yet acknowledged."""
        return values in self.waiting or any(values in data for _, data in self.sent.values())


class Digests:
    """All digests of one pipeline."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._wanted: dict[int, Subscription] = {}
        self._list_ids = itertools.count(1)

    # -- configuration --

    def write(self, kind: int, given: "p4runtime.DigestEntry") -> Undo:
        """Subscribe, change or cancel."""
        if given.digest_id not in self.schema.digests:
            raise not_found("digest_id", given.digest_id, "unknown digest id", self._choices())
        name = self.schema.digests[given.digest_id]
        before = self._wanted.get(given.digest_id)
        if kind == INSERT and before is not None:
            raise Refusal(Code.ALREADY_EXISTS, "digest", name, "already exists: MODIFY it")
        if kind != INSERT and before is None:
            raise not_found("digest", name, "does not exist: INSERT it")
        if kind == DELETE:
            del self._wanted[given.digest_id]
        else:
            copy = p4runtime.DigestEntry()
            copy.CopyFrom(given)
            self._wanted[given.digest_id] = Subscription(copy, before.waiting if before else {})

        def undo() -> None:
            if before is None:
                self._wanted.pop(given.digest_id, None)
            else:
                self._wanted[given.digest_id] = before

        return undo

    def read(self, given: "p4runtime.DigestEntry") -> Iterator["p4runtime.Entity"]:
        """Subscriptions."""
        for number, one in self._wanted.items():
            if given.digest_id in (0, number):
                entity = p4runtime.Entity()
                entity.digest_entry.CopyFrom(one.entry)
                yield entity

    def _choices(self) -> list[str]:
        return [f"{number} {name}" for number, name in self.schema.digests.items()]

    # -- data --

    def learn(self, list_id: int, values: Values, now: float) -> None:
        """A packet asked for a digest."""
        number = self.schema.digest_id(list_id)
        wanted = self._wanted.get(number or 0)
        if wanted is not None and not wanted.is_known(values):
            wanted.waiting[values] = now

    def acknowledge(self, given: "p4runtime.DigestListAck") -> None:
        """The controller has a list: its data may be sent again.

        Raises:
            Refusal: there is no such digest.
        """
        if given.digest_id not in self.schema.digests:
            raise invalid("digest_id", given.digest_id, "unknown digest id", self._choices())
        wanted = self._wanted.get(given.digest_id)
        if wanted is not None:
            wanted.sent.pop(given.list_id, None)

    def due(self, now: float, utc: float) -> Iterator["p4runtime.DigestList"]:
        """Lists that are full or have waited long enough."""
        for number, wanted in self._wanted.items():
            config = wanted.entry.config
            for list_id, (when, _) in list(wanted.sent.items()):
                if (now - when) * 1e9 >= config.ack_timeout_ns:
                    del wanted.sent[list_id]
            # 0 is no limit: all wait for the timeout.
            most = config.max_list_size or DIGESTS_LIMIT
            while wanted.waiting:
                oldest = next(iter(wanted.waiting.values()))
                if len(wanted.waiting) < most and (now - oldest) * 1e9 < config.max_timeout_ns:
                    break
                chosen = list(itertools.islice(wanted.waiting, most))
                for values in chosen:
                    del wanted.waiting[values]
                yield self._message(number, wanted, chosen, now, utc)

    def next_timer(self) -> float | None:
        """When something will be due, at the latest."""
        times = [
            next(iter(one.waiting.values())) + one.entry.config.max_timeout_ns / 1e9
            for one in self._wanted.values()
            if one.waiting
        ]
        return min(times, default=None)

    def _message(
        self, number: int, wanted: Subscription, chosen: list[Values], now: float, utc: float
    ) -> "p4runtime.DigestList":
        message = p4runtime.DigestList(digest_id=number, list_id=next(self._list_ids), timestamp=int(utc * 1e9))
        spec = next(one.type_spec for one in self.schema.info.digests if one.preamble.id == number)
        for values in chosen:
            _encode(spec.WhichOneof("type_spec"), values, message.data.add())
        if wanted.entry.config.ack_timeout_ns:
            wanted.sent[message.list_id] = (now, frozenset(chosen))
        return message


def _encode(kind: str | None, values: Values, into: "p4data.P4Data") -> None:
    if kind == "bitstring":
        into.bitstring = encode(values[0])
        return
    members = into.tuple.members if kind == "tuple" else into.struct.members
    for value in values:
        members.add().bitstring = encode(value)


Learn = Callable[[int, Values], None]
