"""What the views show, as a set of small documents that change: no clock, no socket.

Each document has a key such as `session/lma/7`. A viewer gets all of them once and from then on what changed after
the revision that it knows, so that a hundred changes between two looks cost one.

=============================== ==================================================================================
key                             document
=============================== ==================================================================================
node/NODE                       its role, addresses, the state of its switch, how many sessions it has
session/NODE/ID                 a row of `p4pmip bindings`, with `node` and `id`
traffic/NODE/ID                 `up` and `down`: packets, octets and their rates
message/NUMBER                  one signalling message in one line, and what became of it
table/NODE/TABLE                its entries with their counters
drops/NODE                      packets dropped, by reason
alarm/NUMBER                    something that a person should know
=============================== ==================================================================================
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from p4pmip.p4runtime.reader import Count
from p4pmip.wire.numbers import BindingErrorStatus, RevocationStatus, Status

Json = dict[str, Any]

MESSAGES = 200
ALARMS = 20
SESSIONS = 500
"""Of each node: a page with more would help nobody. `node/NODE` has the true number."""
GONE = 2000
"""Keys of removed documents that are remembered; who was away for longer starts anew."""

_SHORT = {
    "Proxy Binding Update": "PBU",
    "Proxy Binding Acknowledgement": "PBA",
    "Binding Revocation Indication": "BRI",
    "Binding Revocation Acknowledgement": "BRA",
}
_STATUSES: Mapping[str, type[IntEnum]] = {
    "Binding Revocation Acknowledgement": RevocationStatus,
    "Binding Error": BindingErrorStatus,
}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one session has sent and received, as its switch counted it."""

    up: Count
    down: Count


class Model:
    """The documents of some nodes.

    Args:
        names: What to call the end points of signalling, by their text.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self.revision = 0
        self._names = dict(names or {})
        self._documents: OrderedDict[str, tuple[int, Json]] = OrderedDict()
        self._gone: OrderedDict[str, int] = OrderedDict()
        self._floor = 0
        self._numbers = 0
        self._told: dict[str, int] = {}
        self._messages: OrderedDict[int, tuple[Json, Json | None]] = OrderedDict()
        self._alarms: list[str] = []
        self._sessions: dict[str, set[str]] = {}
        self._past: dict[str, tuple[float, Traffic]] = {}

    # --- what viewers ask -----------------------------------------------------------------------------

    def since(self, revision: int | None) -> Json:
        """What changed after a revision; everything, with `reset`, where that is not known."""
        if revision is None or revision < self._floor or revision > self.revision:
            return {"revision": self.revision, "reset": True, "set": self._newer(-1), "unset": []}
        unset = []
        for key, when in reversed(self._gone.items()):
            if when <= revision:
                break
            unset.append(key)
        return {"revision": self.revision, "reset": False, "set": self._newer(revision), "unset": unset}

    def _newer(self, revision: int) -> Json:
        found = []
        for key, (when, document) in reversed(self._documents.items()):
            if when <= revision:
                break
            found.append((key, document))
        return dict(reversed(found))

    def documents(self, kind: str) -> Iterator[Json]:
        """The documents of one kind, the latest change last."""
        for key, (_, document) in self._documents.items():
            if key.startswith(f"{kind}/"):
                yield document

    def get(self, key: str) -> Json | None:
        """One document."""
        found = self._documents.get(key)
        return None if found is None else found[1]

    def message(self, number: int) -> Json | None:
        """A signalling message with every option; None if it is not kept any more."""
        found = self._messages.get(number)
        return None if found is None else {**found[0], "message": found[1]}

    def sessions_of(self, node: str) -> dict[int, Json]:
        """A node's sessions by their ids, as far as they are shown."""
        return {one["id"]: one for one in self.documents("session") if one["node"] == node}

    # --- what is the case -----------------------------------------------------------------------------

    def call(self, end_point: str, name: str, known: bool = True) -> None:
        """What to call an end point of signalling; where it is not `known` who that is, only if nobody said better."""
        if known:
            self._names[end_point] = name
        else:
            self._names.setdefault(end_point, name)

    def restarted(self, node: str) -> None:
        """A node began anew: so do the numbers of its events."""
        self._told.pop(node, None)

    def node(self, name: str, **about: object) -> None:
        """Something about a node; what is not mentioned stays."""
        self._set(f"node/{name}", {"name": name, **(self.get(f"node/{name}") or {}), **about})

    def sessions(self, node: str, rows: Iterable[tuple[int, Json]]) -> None:
        """All sessions of a node by session id, as far as they are shown."""
        keys: set[str] = set()
        total = 0
        for number, row in rows:
            total += 1
            if len(keys) < SESSIONS:
                keys.add(f"session/{node}/{number}")
                self._session(node, number, row)
        for key in self._sessions.get(node, set()) - keys:
            self._end(node, key)
        self.node(node, sessions=total)

    def table(self, node: str, name: str, size: int, count: int, rows: list[Json]) -> None:
        """The entries of a table, or the first of them."""
        self._set(f"table/{node}/{name}", {"node": node, "table": name, "size": size, "count": count, "rows": rows})

    def drops(self, node: str, reasons: Mapping[str, int]) -> None:
        """Packets dropped, by reason."""
        shown = {reason: count for reason, count in reasons.items() if count}
        self._set(f"drops/{node}", {"node": node, "reasons": shown})

    def traffic(self, node: str, session_id: int, counted: Traffic, now: float) -> None:
        """What a session's counters say at a moment; rates come of two of them."""
        key = f"traffic/{node}/{session_id}"
        if f"session/{node}/{session_id}" not in self._documents:
            return
        then, before = self._past.get(key, (now, counted))
        self._past[key] = (now, counted)
        seconds = now - then
        up = _flow(before.up, counted.up, seconds)
        self._set(key, {"node": node, "id": session_id, "up": up, "down": _flow(before.down, counted.down, seconds)})

    # --- what happens ---------------------------------------------------------------------------------

    def event(self, told: Json) -> None:
        """An event of a node, as its admin API tells it; one that was told before is passed over."""
        node = told["node"]
        if told["id"] <= self._told.get(node, 0):
            return
        self._told[node] = told["id"]
        match told["event"]:
            case "sent":
                self._left(told)
            case "received":
                self._arrived(told)
            case "installed":
                if told["after"] is None:
                    self._end(node, f"session/{node}/{told['session']}")
                elif len(self._sessions.get(node, ())) < SESSIONS:
                    self._session(node, told["session"], told["after"])
            case "refused":
                self._alarm(told, "refused", told["reason"])
            case "alarm":
                self._alarm(told, told["name"], told["detail"])
            case "switch":
                self.node(node, state=told["state"], reason=told["reason"])

    def _left(self, told: Json) -> None:
        """A message, unless its other end was faster to tell: each node tells its own history first."""
        key = _identity(told)
        for number, (row, message) in self._messages.items():
            if row["state"] == "arrived" and (row["source"], row["destination"], *_who(message)) == key:
                row = {**row, "time": told["time"], "node": told["node"], "state": "received"}
                self._messages[number] = (row, message)
                self._set(f"message/{number}", self._named(row))
                return
        self._message(told, "sent", "")

    def _arrived(self, told: Json) -> None:
        """The other end of a message that was sent here, or one from elsewhere."""
        key = _identity(told)
        for number, (row, message) in reversed(self._messages.items()):
            if row["outcome"] == "" and (row["source"], row["destination"], *_who(message)) == key:
                row = {**row, "outcome": told["outcome"], "state": "received"}
                self._messages[number] = (row, message)
                self._set(f"message/{number}", self._named(row))
                return
        self._message(told, "arrived", told["outcome"])

    def _message(self, told: Json, state: str, outcome: str) -> None:
        self._numbers += 1
        row = {
            "number": self._numbers,
            "time": told["time"],
            "node": told["node"],
            "source": told["source"],
            "destination": told["destination"],
            "state": state,
            "outcome": outcome,
            "summary": summary(told["message"]),
        }
        self._messages[self._numbers] = (row, told["message"])
        self._set(f"message/{self._numbers}", self._named(row))
        if len(self._messages) > MESSAGES:
            oldest, _ = self._messages.popitem(last=False)
            self._unset(f"message/{oldest}")

    def _named(self, row: Json) -> Json:
        names = {end: self._names.get(row[end], row[end]) for end in ("source", "destination")}
        return {**row, "from": names["source"], "to": names["destination"]}

    def _alarm(self, told: Json, name: str, detail: str) -> None:
        self._numbers += 1
        key = f"alarm/{self._numbers}"
        self._set(key, {"time": told["time"], "node": told["node"], "name": name, "detail": detail})
        self._alarms.append(key)
        if len(self._alarms) > ALARMS:
            self._unset(self._alarms.pop(0))

    # --- documents ------------------------------------------------------------------------------------

    def _session(self, node: str, number: int, row: Json) -> None:
        key = f"session/{node}/{number}"
        self._sessions.setdefault(node, set()).add(key)
        self._set(key, {"node": node, "id": number, **row})

    def _end(self, node: str, key: str) -> None:
        traffic = key.replace("session/", "traffic/", 1)
        self._sessions.get(node, set()).discard(key)
        self._past.pop(traffic, None)
        self._unset(key)
        self._unset(traffic)

    def _set(self, key: str, document: Json) -> None:
        known = self._documents.get(key)
        if known is not None and known[1] == document:
            return
        self.revision += 1
        self._documents[key] = (self.revision, document)
        self._documents.move_to_end(key)
        self._gone.pop(key, None)

    def _unset(self, key: str) -> None:
        if self._documents.pop(key, None) is None:
            return
        self.revision += 1
        self._gone[key] = self.revision
        if len(self._gone) > GONE:
            self._floor = self._gone.popitem(last=False)[1]


def _flow(before: Count, now: Count, seconds: float) -> Json:
    # A counter that went back belongs to an entry that was written anew.
    packets, octets = max(now.packets - before.packets, 0), max(now.octets - before.octets, 0)
    rate = (packets / seconds, octets * 8 / seconds) if seconds > 0 else (0.0, 0.0)
    return {
        "packets": now.packets,
        "octets": now.octets,
        "packets_per_second": round(rate[0], 1),
        "bits_per_second": round(rate[1]),
    }


def _who(message: Json | None) -> tuple[object, object]:
    return (None, None) if message is None else (message.get("name"), message.get("sequence"))


def _identity(told: Json) -> tuple[object, ...]:
    return (told["source"], told["destination"], *_who(told["message"]))


def summary(message: Json | None) -> str:
    """A message in one line: what it is, whose, and the key it carries."""
    if message is None:
        return "undecodable"
    name = str(message["name"])
    words: list[str] = [_SHORT.get(name, name)]
    update = words[0] == "PBU"
    if (status := message.get("status")) is not None:
        registry = _STATUSES.get(name, Status)
        known = status in registry._value2member_map_
        words.append(f"{status} {registry(status).name.lower()}" if known else str(status))
    for option in message.get("options", ()):
        match option:
            case {"name": "GRE Key", "key": key}:
                shown = "none" if key is None else f"0x{key:08x}"
                words.append(f"{'downlink' if update else 'uplink'} key {shown}")
            case {"identifier": str(identifier), "subtype": 1}:
                words.append(identifier)
    if update and not message.get("lifetime_s"):
        words.append("de-registration")
    return ", ".join(words)
