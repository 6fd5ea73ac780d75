"""How many mobile nodes an access link takes by its default realm alone."""

import pytest

from p4pmip.node.identity import Guests

LINK, OTHER = 11, 12


def macs(count: int, first: int = 0) -> list[bytes]:
    return [(first + number).to_bytes(6, "big") for number in range(count)]


def guests(limit: int) -> tuple[Guests, set[tuple[bytes, int]]]:
    """Two links, and who is registered on them."""
    there: set[tuple[bytes, int]] = set()
    return Guests({LINK: limit, OTHER: limit}, lambda mac, link: (mac, link) in there), there


def come(found: Guests, there: set[tuple[bytes, int]], mac: bytes, link: int = LINK) -> bool:
    admitted = found.admit(mac, link)
    if admitted:
        there.add((mac, link))
    return admitted


def test_a_link_takes_so_many_and_another_one_as_many_again() -> None:
    found, there = guests(3)
    for link in (LINK, OTHER):
        assert [come(found, there, mac, link) for mac in macs(5)] == [True] * 3 + [False] * 2
    assert come(found, there, macs(5)[0]), "who is there already may go on asking"


@pytest.mark.parametrize("limit", [1, 64, 1000])
def test_the_place_of_one_that_has_left_is_taken(limit: int) -> None:
    found, there = guests(limit)
    assert all(come(found, there, mac) for mac in macs(limit))
    there.remove((macs(limit)[-1], LINK))
    (stranger,) = macs(1, first=limit)
    asked = 1
    while not come(found, there, stranger):
        asked += 1
    assert asked <= 1 + limit // 64, "not everybody is looked at each time, but everybody in turn"
    assert len(there) == limit
    assert not come(found, there, macs(1, first=limit + 1)[0])


def test_one_that_was_admitted_and_could_not_be_registered_takes_no_place() -> None:
    found, there = guests(2)
    for mac in macs(10):
        assert found.admit(mac, LINK)
    assert [come(found, there, mac) for mac in macs(3, first=10)] == [True, True, False]


def test_those_from_before_a_restart_have_their_places() -> None:
    found, there = guests(2)
    for mac in macs(3):  # the limit was another one then
        there.add((mac, LINK))
        found.note(mac, LINK)
        found.note(mac, 99)
    (stranger,) = macs(1, first=9)
    assert not come(found, there, stranger)
    there -= {(mac, LINK) for mac in macs(2)}
    assert come(found, there, stranger)
