"""Nodes with softswitches and journals, by their admin API: bindings, moves, reload, in-band signalling, strangers."""

import asyncio
import os
import socket
from collections import Counter
from copy import deepcopy
from pathlib import Path

import pytest
from tests.node.world import document, events_until, running, switches, until, write

from p4pmip.errors import P4pmipError
from p4pmip.mobility.binding import Phase
from p4pmip.mobility.effects import Install, Send
from p4pmip.node.client import NodeClient
from p4pmip.node.config import ConfigError, load, parse
from p4pmip.node.desired import desired_from_config
from p4pmip.node.reload import changes
from p4pmip.node.service import Service
from p4pmip.p4runtime.desired import read_desired
from p4pmip.wire.message import BindingUpdate
from p4pmip.wire.mobility_header import decode, encode
from p4pmip.wire.numbers import BindingUpdateFlag, Status

MN = "mn-1@operator-a.example"


def client(folder: Path, name: str) -> NodeClient:
    return NodeClient(str(folder / f"{name}.admin"))


def active(service: Service, node: str) -> int:
    return sum(session.phase is Phase.ACTIVE for session in service.nodes[node].sessions())


async def attach(service: Service, folder: Path, mag: str, mn: str = MN) -> None:
    before = active(service, mag)
    await asyncio.to_thread(client(folder, mag).post, "/attach", mn=mn, link="11")
    await until(service, lambda: active(service, mag) > before)


async def test_a_mobile_node_is_attached_moved_and_detached(tmp_path: Path) -> None:
    async with running(tmp_path, document(tmp_path)) as (service, _):
        lma, mag = client(tmp_path, "lma"), client(tmp_path, "mag-2")
        await attach(service, tmp_path, "mag-1")
        row = (await asyncio.to_thread(lma.get, "/bindings"))["bindings"][0]
        assert list(row) == ["mn", "realm", "ipv4", "hnp", "mag", "state", "uplink_key", "downlink_key"]
        assert (row["mn"], row["realm"], row["ipv4"], row["mag"]) == (MN, "operator-a", "10.1.0.10", "mag-1")
        assert isinstance(row["uplink_key"], int)

        await asyncio.to_thread(mag.post, "/move", mn=MN, link="11")
        await until(service, lambda: active(service, "mag-2") == 1 and active(service, "mag-1") == 0)
        moved = (await asyncio.to_thread(lma.get, "/bindings"))["bindings"]
        assert [(one["mag"], one["uplink_key"]) for one in moved] == [("mag-2", row["uplink_key"])]

        await asyncio.to_thread(mag.post, "/detach", mn="02:00:00:00:01:01")
        await until(service, lambda: active(service, "lma") == 0)


async def test_what_a_handover_leaves_is_deleted_after_a_while(tmp_path: Path) -> None:
    """Packets of the old MAG are on their way when the session moves: its entry stays, and goes with others."""
    async with running(tmp_path, document(tmp_path)) as (service, _):
        switch = service.nodes["lma"].switch
        mns = (MN, "mn-2@operator-a.example", "mn-3@operator-b.example")

        def ways() -> Counter[int]:
            """Of how many MAGs packets of each session are taken."""
            entries = [entry for entry in switch.desired().values() if entry.table == "gre_rx"]
            return Counter(dict(entry.params)["session_id"] for entry in entries)

        for mn in mns:
            await attach(service, tmp_path, "mag-1", mn)
        before = ways()
        assert list(before.values()) == [1, 1, 1]
        most: Counter[int] = Counter()

        def moved() -> bool:
            nonlocal most
            most |= ways()
            return active(service, "mag-2") == 3 and ways() == before

        moves = [asyncio.to_thread(client(tmp_path, "mag-2").post, "/move", mn=mn, link="11") for mn in mns]
        await asyncio.gather(*moves, until(service, moved))
        assert list(most.values()) == [2, 2, 2]
        held = {entry.key async for entry in switch.session.read_table("gre_rx")}
        assert held == {key for key, entry in switch.desired().items() if entry.table == "gre_rx"}


async def test_the_switch_is_asked_before_the_anchor(tmp_path: Path) -> None:
    """Once the LMA has granted it, packets with the MAG's key come: what takes them is then at least on its way."""
    content = document(tmp_path)
    lma = content["nodes"]["lma"]
    known = {"address": lma["signalling"]["address"], "tunnel": lma["tunnel"]["address"]}
    content["nodes"]["mag-1"]["peers"] = {"lma": known}
    async with running(tmp_path, content) as (service, _):
        with service.events["mag-1"].listen() as listener:
            await attach(service, tmp_path, "mag-1")
            told = []
            while not listener.queue.empty():
                told.append(listener.queue.get_nowait().what)
        kinds = [type(one.message if isinstance(one, Send) else one) for one in told]
        assert kinds.index(Install) < kinds.index(BindingUpdate)


async def test_what_comes_before_a_node_serves_is_counted(tmp_path: Path) -> None:
    """Its addresses are taken before its switch is there: messages are not handled, and the admin API is closed."""
    content = document(tmp_path)
    lma = (content["nodes"]["lma"]["signalling"]["address"], 5436)
    service = Service(write(tmp_path / "figure-1.toml", content))
    await service.open()
    try:
        node = service.nodes["lma"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as early:
            early.sendto(encode(BindingUpdate(1, BindingUpdateFlag.A | BindingUpdateFlag.P, 10, ())), lma)
        await until(service, lambda: node.signalling.counters["not_ready"] == 1)
        assert not node.lma or not node.lma.counters
        with pytest.raises(P4pmipError, match="no node answers"):
            await asyncio.to_thread(client(tmp_path, "lma").get, "/health")
        async with switches(tmp_path):
            await service.start()
            await attach(service, tmp_path, "mag-1")
            counted = (await asyncio.to_thread(client(tmp_path, "lma").get, "/counters"))["transport"]
            assert counted["not_ready"] >= 1  # others that start before it are heard, too
    finally:
        await service.stop()


async def test_requests_that_make_no_sense_are_refused_with_the_choices(tmp_path: Path) -> None:
    async with running(tmp_path, document(tmp_path)):
        for node, path, body, text in (
            ("lma", "/attach", {"mn": MN}, "cannot attach: it is no MAG"),
            ("lma", "/move", {"mn": MN}, "cannot move: it is no MAG"),
            ("lma", "/detach", {"mn": "nobody"}, "unknown mobile node"),
            ("lma", "/detach", {"mn": MN}, "is not attached"),
            ("mag-1", "/attach", {"mn": MN, "link": "9"}, "no such access link: '9' (valid: 11, 12, 13, 14)"),
            ("mag-1", "/attach", {"mn": "nobody", "link": "11"}, "unknown mobile node"),
            ("mag-1", "/detach", {"mn": MN}, "is not attached"),
        ):
            with pytest.raises(P4pmipError) as raised:
                await asyncio.to_thread(client(tmp_path, node).post, path, **body)
            assert text in str(raised.value)


async def test_health_counters_metrics_events_and_desired(tmp_path: Path) -> None:
    async with running(tmp_path, document(tmp_path)) as (service, _):
        await attach(service, tmp_path, "mag-1")
        lma = client(tmp_path, "lma")
        health = await asyncio.to_thread(lma.get, "/health")
        assert health["ready"]
        assert health["sessions"] == 1
        assert (await asyncio.to_thread(lma.get, "/counters"))["lma"]["accepted_initial"] == 1
        desired = await asyncio.to_thread(lma.get, "/desired")
        assert desired["sessions"]["1"]["mn"] == MN
        # A configuration does as well as the socket, though the node has its journal for itself.
        target = service.config.nodes["lma"].target
        by_file = await asyncio.to_thread(desired_from_config, tmp_path / "figure-1.toml", target)
        assert by_file == read_desired(desired, "test")
        told = await asyncio.to_thread(events_until, lma, "installed")
        names = [(event["event"], event.get("message", {}).get("name")) for event in told]
        update, answer = ("received", "Proxy Binding Update"), ("sent", "Proxy Binding Acknowledgement")
        assert names.index(update) < names.index(answer) < names.index(("installed", None))


async def test_nodes_that_start_side_by_side_leave_the_umask_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        async with running(tmp_path, document(tmp_path)) as (service, _):
            for _ in range(3):
                await asyncio.gather(*(admin.stop() for admin in service.admins.values()))
                await asyncio.gather(*(admin.start() for admin in service.admins.values()))
                assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def sockets(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_socket()]


async def test_the_socket_is_there_once_the_node_serves(tmp_path: Path) -> None:
    """Scripts wait for it."""
    service = Service(write(tmp_path / "figure-1.toml", document(tmp_path)))
    await service.open()
    assert not (tmp_path / "lma.admin").exists()
    await service.stop()
    assert sockets(tmp_path) == [], "nothing is left of a node that did not get so far"


async def test_the_socket_is_the_owners_alone_and_tcp_asks_for_host_and_origin(tmp_path: Path) -> None:
    content = document(tmp_path)
    content["nodes"]["lma"]["admin"] = "127.0.0.1:0"
    async with running(tmp_path, content) as (service, _):
        assert (tmp_path / "mag-1.admin").stat().st_mode & 0o777 == 0o600
        host, port = service.admins["lma"].addresses[0][:2]
        for headers, status in (
            (f"Host: {host}:{port}\r\n", 200),
            ("Host: evil.example\r\n", 421),
            (f"Host: {host}:{port}\r\nOrigin: http://evil.example\r\n", 403),
        ):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"GET /bindings HTTP/1.1\r\n{headers}Connection: close\r\n\r\n".encode())
            assert int((await reader.read()).split()[1]) == status
            writer.close()
    assert not (tmp_path / "mag-1.admin").exists()


async def test_reload_applies_what_it_can_and_says_what_needs_a_restart(tmp_path: Path) -> None:
    content = document(tmp_path)
    async with running(tmp_path, content) as (service, _):
        path = tmp_path / "figure-1.toml"
        content["realms"]["operator-c"] = {"ipv4_pool": "10.9.0.0/16"}
        content["mobile_nodes"].append(
            {"nai": "mn-9@operator-c.example", "realm": "operator-c", "mac": ["02:00:00:00:01:09"]}
        )
        content["nodes"]["lma"]["lma"]["lifetime"] = 600
        content["nodes"]["lma"]["tunnel"]["hop_limit"] = 9
        write(path, content)
        told = await service.reload()
        assert "realms.operator-c: added" in told
        assert "nodes.lma.lma.lifetime: changed" in told
        assert "nodes.lma.tunnel: needs a restart" in told
        await attach(service, tmp_path, "mag-1", "mn-9@operator-c.example")
        (session,) = service.nodes["lma"].sessions()
        assert (session.realm, session.lifetime) == ("operator-c", 150)

        content["realms"]["operator-c"]["ipv4_pool"] = "nonsense"
        write(path, content)
        with pytest.raises(P4pmipError, match="ipv4_pool"):
            await service.reload()
        assert active(service, "lma") == 1


async def test_a_mobile_node_that_is_no_longer_in_the_file_is_served_no_longer(tmp_path: Path) -> None:
    """By its LMA, whatever order the nodes are told in and whether or not its MAG is told at all."""
    content = document(tmp_path)
    for port in content["nodes"]["mag-1"]["ports"]:
        port.pop("realm", None)
    async with running(tmp_path, content) as (service, _):
        path = tmp_path / "figure-1.toml"
        others = ("mn-2@operator-a.example", "mn-3@operator-b.example")
        for mn in (MN, *others):
            await attach(service, tmp_path, "mag-1", mn)
        for left in (2, 1):
            del content["mobile_nodes"][0]
            write(path, content)
            told = {name: node for name, node in service.nodes.items() if left == 2 or name != "mag-1"}
            service.nodes, everybody = told, service.nodes
            try:
                await service.reload()
            finally:
                service.nodes = everybody
            await until(service, lambda left=left: len(list(service.nodes["lma"].sessions())) == left)  # type: ignore[misc]
        (session,) = service.nodes["lma"].sessions()
        assert session.mn == others[1].encode()
        assert active(service, "lma") == 1


async def test_a_node_under_another_name_needs_a_restart_and_the_rest_is_reloaded(tmp_path: Path) -> None:
    content = document(tmp_path)
    async with running(tmp_path, content) as (service, _):
        path = tmp_path / "figure-1.toml"
        content["nodes"]["mag-9"] = content["nodes"].pop("mag-1")
        content["nodes"]["lma"]["lma"]["lifetime"] = 600
        write(path, content)
        for told in (await service.reload(), await service.reload()):
            assert "nodes.mag-1: removing it needs a restart" in told
            assert "nodes.mag-9: added: needs a restart" in told
        content["nodes"]["anchor"] = content["nodes"].pop("lma")
        for mag in ("mag-2", "mag-9"):
            content["nodes"][mag]["mag"]["lma"] = "anchor"
        write(path, content)
        told = await service.reload()
        assert set(told) == {
            "nodes.lma: removing it needs a restart",
            "nodes.mag-1: removing it needs a restart",
            "nodes.mag-2.mag.lma: needs a restart",
            "nodes.mag-9: added: needs a restart",
            "nodes.anchor: added: needs a restart",
        }
        assert list(service.nodes) == ["lma", "mag-1", "mag-2"]
        await attach(service, tmp_path, "mag-1")
        (session,) = service.nodes["lma"].sessions()
        assert session.lifetime == 150


async def test_what_does_not_go_with_what_stays_until_a_restart_is_refused_whole(tmp_path: Path) -> None:
    content = document(tmp_path)
    content["realms"]["operator-b"]["prefix_pool"] = "2001:db8:b::/48"
    async with running(tmp_path, content) as (service, _):
        before = service.config
        path = tmp_path / "figure-1.toml"
        content["realms"]["operator-b"]["prefix_pool"] = "2001:db8:c::/48"
        content["realms"]["operator-d"] = {"prefix_pool": "2001:db8:b::/48"}
        load(write(path, content))  # the file by itself is good
        with pytest.raises(ConfigError) as raised:
            await service.reload()
        assert list(raised.value.findings) == [
            "realms.operator-b.prefix_pool: needs a restart",
            f"{path}: beside what needs a restart and stays: realms.operator-d.prefix_pool: overlaps that of realm "
            "operator-b: '2001:db8:b::/48'",
        ]
        assert service.config is before
        assert all("operator-d" not in engine.common.realms for engine in service.nodes["lma"].engines)


async def test_what_a_mobile_node_with_a_binding_keeps_is_said(tmp_path: Path) -> None:
    content = document(tmp_path)
    async with running(tmp_path, content) as (service, _):
        await attach(service, tmp_path, "mag-1")
        path = tmp_path / "figure-1.toml"
        one, other = content["mobile_nodes"][:2]
        one["mac"], other["mac"] = other["mac"], one["mac"]
        one["ipv4"] = "10.1.0.99"
        write(path, content)
        assert await service.reload() == [
            "mobile_nodes: changed; who has a binding keeps the old mac, ipv4 until it ends"
        ]
        (row,) = (await asyncio.to_thread(client(tmp_path, "lma").get, "/bindings"))["bindings"]
        assert row["ipv4"] == "10.1.0.10"
        content["mobile_nodes"].pop()
        write(path, content)
        assert await service.reload() == ["mobile_nodes: changed"]


def test_nodes_that_run_elsewhere_come_change_and_go_as_peers(tmp_path: Path) -> None:
    content = document(tmp_path)
    old = parse(content)
    added = deepcopy(content["nodes"]["mag-1"])
    for section in ("signalling", "tunnel"):
        added[section]["address"] = {"signalling": "127.99.99.99", "tunnel": "2001:db8:103::1"}[section]
    content["nodes"] |= {"mag-3": added | {"target": "127.0.0.1:9999/9", "admin": "mag-3.admin"}}
    del content["nodes"]["mag-1"]
    content["nodes"]["mag-2"]["mag"]["lifetime"] = 600
    content["nodes"]["lma"]["routes"] = [{"to": "2001:db8:103::/48", "via": "2001:db8:101::1", "port": 1}]
    new = parse(content)
    told = changes(old, new, ("lma",))
    assert told.applied == ("nodes.mag-1: removed", "nodes.mag-2: changed", "nodes.mag-3: added")
    assert told.need_restart == ("nodes.lma.routes: needs a restart",)
    assert list(told.applicable.nodes) == ["lma", "mag-2", "mag-3"]


async def test_an_lma_revokes_what_it_holds_whether_or_not_its_file_names_it(tmp_path: Path) -> None:
    mac, nai = "02:00:00:00:09:01", "020000000901@operator-a"
    async with running(tmp_path, document(tmp_path)) as (service, _):
        for name in (nai, mac):
            await attach(service, tmp_path, "mag-1", mac)
            (session,) = service.nodes["lma"].sessions()
            assert session.mn == nai.encode()
            done = await asyncio.to_thread(client(tmp_path, "lma").post, "/detach", mn=name)
            assert done == {"node": "lma", "mn": nai}
            await until(service, lambda: active(service, "lma") == active(service, "mag-1") == 0)


@pytest.mark.parametrize("family", [4, 6])
async def test_signalling_goes_through_the_switch(tmp_path: Path, family: int) -> None:
    content = document(tmp_path)
    tunnels = {name: node["tunnel"]["address"] for name, node in content["nodes"].items()}
    if family == 4:
        tunnels = {"lma": "192.0.2.1", "mag-1": "192.0.2.2", "mag-2": "192.0.2.3"}
        for node in content["nodes"].values():
            for port in node["ports"]:
                if port["role"] == "transport":
                    ((neighbour, mac),) = port["neighbours"].items()
                    other = next(name for name, one in document(tmp_path)["nodes"].items()
                                 if one["tunnel"]["address"] == neighbour)  # fmt: skip
                    port["neighbours"] = {tunnels[other]: mac}
                    port["address"] = []
    for name, node in content["nodes"].items():
        node["tunnel"]["address"] = tunnels[name]
        node["signalling"] = {"transport": "in-band", "address": tunnels[name]}
    async with running(tmp_path, content) as (service, _):
        await attach(service, tmp_path, "mag-1")
        (session,) = service.nodes["lma"].sessions()
        assert str(session.path.peer.address) == tunnels["mag-1"]
        assert str(session.tunnel.peer) == tunnels["mag-1"]  # type: ignore[union-attr]


async def test_a_stranger_is_refused_and_rubbish_is_counted(tmp_path: Path) -> None:
    content = document(tmp_path)
    lma = (content["nodes"]["lma"]["signalling"]["address"], 5436)
    async with running(tmp_path, content) as (service, _):
        await attach(service, tmp_path, "mag-1")
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setblocking(False)
            stranger.bind(("127.0.0.1", 0))
            await loop.sock_sendto(stranger, b"\xff" * 40, lma)
            update = BindingUpdate(1, BindingUpdateFlag.A | BindingUpdateFlag.P, 10, ())
            await loop.sock_sendto(stranger, encode(update), lma)
            async with asyncio.timeout(10):
                answer = decode(await loop.sock_recv(stranger, 2048)).message
        assert answer is not None
        assert getattr(answer, "status", None) in (
            Status.PROXY_REG_NOT_ENABLED,
            Status.MAG_NOT_AUTHORIZED_FOR_PROXY_REG,
            Status.MISSING_MN_IDENTIFIER_OPTION,
        )
        counted = service.nodes["lma"].lma
        assert counted is not None
        assert any("status_15" in name or "status_16" in name for name in counted.counters)
        assert active(service, "lma") == 1
