"""End points as people and JSON have them."""

from ipaddress import ip_address

import pytest

from p4pmip.mobility.endpoint import Endpoint


@pytest.mark.parametrize(
    ("address", "port", "shown"),
    [
        ("127.84.1.1", 5436, "127.84.1.1:5436"),
        ("2001:db8::1", 5436, "[2001:db8::1]:5436"),
        ("2001:db8::1", None, "2001:db8::1"),
    ],
)
def test_only_ipv6_needs_brackets(address: str, port: int | None, shown: str) -> None:
    assert str(Endpoint(ip_address(address), port)) == shown
