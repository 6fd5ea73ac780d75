"""Nodes whose switches stand in an inventory: TLS, and what a target does differently."""

import asyncio
import logging
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.certificates import certificates, server_credentials
from tests.node.world import Document, document, until, write

from p4pmip.demo import figure1
from p4pmip.node.client import NodeClient
from p4pmip.node.config import ConfigError, load
from p4pmip.node.desired import node_of_target
from p4pmip.node.service import Service
from p4pmip.node.status import health
from p4pmip.p4runtime.messages import MESSAGES
from p4pmip.p4runtime.quirks import PROFILES
from p4pmip.p4runtime.target import Target, Tls
from p4pmip.softswitch import SoftSwitch

MN = "mn-1@operator-a.example"
TLS = {"ca": "ca.pem", "certificate": "controller.pem", "key": "controller.key", "server_name": "box"}


def placed(folder: Path, targets: dict[str, Document]) -> Path:
    """The example with the switches of an inventory."""
    content = document(folder)
    for name in content["nodes"]:
        content["nodes"][name]["target"] = f"switch-of-{name}"
    content["inventory"] = "targets.toml"
    write(folder / "targets.toml", {"targets": {f"switch-of-{name}": one for name, one in targets.items()}})
    return write(folder / "figure-1.toml", content)


def by_address() -> dict[str, Document]:
    return {name: {"address": f"127.0.0.1:{9559 + n}", "device_id": n} for n, name in enumerate(figure1.NODES)}


class Asked(logging.Handler):
    """The Writes that targets were sent."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.updates: dict[str, list[int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        target, method, text = record.getMessage().split(" ", 2)
        if method == "Write" and not text.startswith("answered"):
            self.updates.setdefault(target, []).append(text.count("updates {"))


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on PATH")
async def test_nodes_reach_their_switches_over_mutual_tls_and_mind_their_quirks(tmp_path: Path, asked: Asked) -> None:
    certificates(tmp_path)
    level = MESSAGES.level
    MESSAGES.addHandler(asked)
    MESSAGES.setLevel(logging.DEBUG)
    try:
        async with AsyncExitStack() as stack:
            targets = {}
            for number, name in enumerate(figure1.NODES, 1):
                serving = SoftSwitch(number).serve("127.0.0.1:0", server_credentials(tmp_path))
                targets[name] = {"address": await stack.enter_async_context(serving), "device_id": number, "tls": TLS}
            targets["lma"]["kind"] = "one-by-one"
            service = Service(placed(tmp_path, targets))
            await service.start()
            stack.push_async_callback(service.stop)
            mag = NodeClient(str(tmp_path / "mag-1.admin"))
            await asyncio.to_thread(mag.post, "/attach", mn=MN, link="11")
            await until(service, lambda: any(True for _ in service.nodes["mag-1"].sessions()))
            lma = service.nodes["lma"].switch
            assert any(lma.bindings())
            assert not (await lma.session.reconciler.plan()).size
    finally:
        MESSAGES.removeHandler(asked)
        MESSAGES.setLevel(level)
    assert set(asked.updates["switch-of-lma"]) == {1}
    assert max(asked.updates["switch-of-mag-1"]) > 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on PATH")
async def test_a_node_that_the_switch_does_not_know_waits_and_says_why(tmp_path: Path) -> None:
    certificates(tmp_path)
    async with SoftSwitch(1).serve("127.0.0.1:0", server_credentials(tmp_path)) as address:
        without = {"ca": "ca.pem", "server_name": "box"}
        service = Service(placed(tmp_path, by_address() | {"lma": {"address": address, "tls": without}}), ["lma"])
        starting = asyncio.create_task(service.start())
        done, _ = await asyncio.wait({starting}, timeout=2.0)
        assert not done
        about = health(service.nodes["lma"])
        assert not about["ready"]
        assert about["switch"]["reason"]
        starting.cancel()
        await asyncio.wait({starting})


def test_a_target_by_name_is_the_inventory_s(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    targets = by_address()
    targets["lma"] |= {"kind": "stratum", "quirks": {"max_batch": 7}, "tls": {"ca": "ca.pem"}}
    config = load(placed(tmp_path, targets))
    quirks = PROFILES["stratum"].with_changes({"max_batch": 7}, "")
    assert config.target("lma") == Target("127.0.0.1:9559", 0, "switch-of-lma", Tls(tmp_path / "ca.pem"), quirks)
    assert [node_of_target(config, one) for one in ("mag-1", "switch-of-mag-1", "127.0.0.1:9560/1")] == ["mag-1"] * 3


def test_what_is_wrong_with_an_inventory_has_a_line_each(tmp_path: Path) -> None:
    targets = by_address()
    targets["lma"] |= {"kind": "bmw", "tls": {"ca": "none.pem", "key": "none.key", "cert": "x"}, "port": 1}
    targets["mag-1"]["quirks"] = {"modify": "no", "bathces": True}
    targets["mag-2"]["address"] = "127.0.0.1:70000"
    with pytest.raises(ConfigError) as raised:
        load(placed(tmp_path, targets))
    place = f"{tmp_path / 'figure-1.toml'}: inventory: {tmp_path / 'targets.toml'}: targets.switch-of-"
    quirks = ", ".join(PROFILES["generic"].__slots__)
    assert [line.removeprefix(place) for line in raised.value.findings] == [
        "lma: no such key: 'port' (valid: address, device_id, kind, quirks, tls)",
        f"lma.kind: no such kind of target: 'bmw' (valid: {', '.join(PROFILES)})",
        "lma.tls: no such key: 'cert' (valid: ca, certificate, key, server_name)",
        f"lma.tls.ca: no such file: '{tmp_path / 'none.pem'}'",
        f"lma.tls.key: no such file: '{tmp_path / 'none.key'}'",
        "lma.tls: certificate and key belong together",
        "mag-1.quirks.modify: must be bool: 'no'",
        f"mag-1.quirks.bathces: no such quirk: True (valid: {quirks})",
        "mag-2.address: port is not in 1..65535: '127.0.0.1:70000'",
    ]


def test_a_name_that_the_inventory_lacks_and_a_switch_given_twice(tmp_path: Path) -> None:
    targets = by_address()
    targets["mag-2"] = targets["mag-1"]
    place = f"{tmp_path / 'figure-1.toml'}: nodes."
    with pytest.raises(ConfigError) as raised:
        load(placed(tmp_path, targets))
    assert str(raised.value) == f"{place}mag-2.target: already that of nodes.mag-1: '127.0.0.1:9560/1'"
    del targets["mag-2"]
    with pytest.raises(ConfigError) as raised:
        load(placed(tmp_path, targets))
    assert str(raised.value) == (
        f"{place}mag-2.target: not HOST:PORT[/DEVICE_ID] nor a name in the inventory: 'switch-of-mag-2' "
        "(valid: HOST:PORT[/DEVICE_ID], switch-of-lma, switch-of-mag-1)"
    )


async def test_another_target_in_the_inventory_needs_a_restart(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        targets = by_address()
        for number, name in enumerate(figure1.NODES):
            targets[name]["address"] = await stack.enter_async_context(SoftSwitch(number).serve("127.0.0.1:0"))
        service = Service(placed(tmp_path, targets))
        await service.start()
        stack.push_async_callback(service.stop)
        targets["mag-2"]["kind"] = "bmv2"
        placed(tmp_path, targets)
        for _ in range(2):  # it is still so when the file is read again
            assert "nodes.mag-2.target: needs a restart" in await service.reload()
        assert service.nodes["mag-2"].switch.session.target.quirks == PROFILES["generic"]
