"""What the views show: snapshots, changes since, and limits."""

from typing import Any

from p4pmip.p4runtime.reader import Count
from p4pmip.view import model as view
from p4pmip.view.model import Model, Traffic

ROW = {"mn": "mn-1@a.example", "realm": "a", "mag": "mag-1", "state": "active"}


def told(number: int, event: str, **more: Any) -> dict[str, Any]:
    """An event as a node tells it."""
    return {"id": number, "time": 1.0, "node": "lma", "event": event, **more}


def sent(number: int, sequence: int) -> dict[str, Any]:
    """A PBU on its way."""
    message = {"name": "Proxy Binding Update", "sequence": sequence, "lifetime_s": 3600, "options": []}
    return told(number, "sent", source="192.0.2.1:5436", destination="192.0.2.2:5436", message=message)


def test_changes_since_a_revision() -> None:
    """Only what is new, what has gone, and everything for who comes from elsewhere."""
    model = Model({})
    model.event(told(1, "installed", session=7, before=None, after=ROW))
    first = model.since(None)
    assert first["reset"] is True
    assert first["set"]["session/lma/7"]["mn"] == "mn-1@a.example"
    assert model.since(first["revision"])["set"] == {}
    model.event(told(2, "installed", session=7, before=ROW, after={**ROW, "mag": "mag-2"}))
    model.event(told(2, "installed", session=8, before=None, after=ROW))
    second = model.since(first["revision"])
    assert list(second["set"]) == ["session/lma/7"]
    model.event(told(3, "installed", session=7, before=ROW, after=None))
    assert model.since(second["revision"])["unset"] == ["session/lma/7"]
    assert model.since(10**9)["reset"] is True


def test_a_message_is_one_row_from_sending_to_its_outcome() -> None:
    """Whichever of its nodes tells; the second with the same sequence number is another message."""
    model = Model({"192.0.2.1:5436": "mag-1", "192.0.2.2:5436": "lma"})
    model.event({**sent(1, 5), "node": "mag-1"})
    assert [(row["from"], row["to"], row["outcome"]) for row in model.documents("message")] == [("mag-1", "lma", "")]
    model.event({**sent(1, 5), "event": "received", "outcome": "accepted"})
    assert [row["outcome"] for row in model.documents("message")] == ["accepted"]
    model.event({**sent(2, 5), "event": "received", "outcome": "ignored_stale"})
    assert [row["outcome"] for row in model.documents("message")] == ["accepted", "ignored_stale"]
    assert model.message(1) is not None
    assert model.message(9) is None


def test_the_histories_of_two_nodes_make_one_row_each_message() -> None:
    """Who looks late is told all of one node, and then all of the other."""
    model = Model({"192.0.2.1:5436": "mag-1", "192.0.2.2:5436": "lma"})
    for number, sequence in ((1, 5), (2, 6), (3, 6)):
        model.event({**sent(number, sequence), "event": "received", "outcome": "accepted", "time": 2.0 + number})
    for number, sequence in ((1, 5), (2, 6), (3, 6), (4, 7)):
        model.event({**sent(number, sequence), "node": "mag-1", "time": 1.0 + number})
    rows = [(row["time"], row["node"], row["outcome"]) for row in model.documents("message")]
    accepted = [(1.0 + number, "mag-1", "accepted") for number in (1, 2, 3)]
    assert sorted(rows) == [*accepted, (5.0, "mag-1", "")]


def test_rates_and_a_counter_that_begins_anew() -> None:
    """Two readings make a rate, and none is ever negative."""
    model = Model({})
    model.sessions("lma", [(7, ROW)])
    for at, packets in ((0.0, 10), (2.0, 30), (3.0, 5)):
        model.traffic("lma", 7, Traffic(Count(packets, packets * 100), Count(0, 0)), at)
        up = (model.get("traffic/lma/7") or {})["up"]
        assert up["packets_per_second"] == (10.0 if at == 2.0 else 0.0)
        assert up["packets"] == packets
    model.sessions("lma", [])
    assert model.get("traffic/lma/7") is None


def test_everything_is_bounded() -> None:
    """A busy node makes neither the page nor the server grow."""
    model = Model({})
    model.sessions("lma", ((number, ROW) for number in range(view.SESSIONS + 100)))
    assert (model.get("node/lma") or {})["sessions"] == view.SESSIONS + 100
    for number in range(1, view.GONE + 500):
        model.event(sent(2 * number, number))
        model.event(told(2 * number + 1, "alarm", name="a", detail="b"))
    kinds = {kind: len(list(model.documents(kind))) for kind in ("session", "message", "alarm")}
    assert kinds["session"] == view.SESSIONS
    assert kinds["message"] <= view.MESSAGES
    assert kinds["alarm"] <= view.ALARMS


def test_a_status_is_named_by_the_registry_of_its_message() -> None:
    """128 is one thing in a PBA and another in the answer to a revocation."""
    for name, short in (("Proxy Binding Acknowledgement", "PBA"), ("Binding Revocation Acknowledgement", "BRA")):
        words = view.summary({"name": name, "status": 128, "options": []})
        assert words.startswith(f"{short}, 128 ")
        assert ("binding_does_not_exist" in words) == (short == "BRA")
