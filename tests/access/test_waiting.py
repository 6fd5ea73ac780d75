"""Nodes that are not served: who is forgotten first, and when."""

from p4pmip.access.served import AccessSettings
from p4pmip.access.waiting import WaitingNodes

A, B, C = b"\2aaaaa", b"\2bbbbb", b"\2ccccc"


def test_who_was_silent_for_longest_makes_room() -> None:
    nodes = WaitingNodes(AccessSettings(waiting_per_link=2))
    for now, mac in enumerate((A, B, A, C)):
        nodes.hear(mac, float(now))
    assert list(nodes.crowd()) == [B]
    assert list(nodes.crowd()) == []


def test_who_says_nothing_any_more_is_gone_each_in_its_time() -> None:
    nodes = WaitingNodes(AccessSettings(idle_timeout=10.0))
    for now, mac in enumerate((A, B, A)):
        nodes.hear(mac, float(now))
    assert nodes.next_timer() == 11.0
    assert list(nodes.gone(10.9)) == []
    assert list(nodes.gone(11.0)) == [B]
    assert list(nodes.gone(100.0)) == [A]
    assert nodes.next_timer() is None


def test_who_is_served_does_not_wait_any_more() -> None:
    nodes = WaitingNodes(AccessSettings())
    node = nodes.hear(A, 1.0)
    assert nodes.take(A) is node
    assert nodes.take(A) is None
    assert nodes.next_timer() is None


def test_an_earlier_sign_of_life_does_not_take_back_a_later_one() -> None:
    nodes = WaitingNodes(AccessSettings(idle_timeout=10.0))
    nodes.hear(A, 5.0)
    nodes.hear(A, 1.0)
    assert nodes.next_timer() == 15.0
