"""`p4pmip attach` and `move` tell whether the mobile node is registered, or why it is not."""

import asyncio
import sys
from pathlib import Path

import pytest
from tests.node.world import document, running, until

from p4pmip.errors import P4pmipError
from p4pmip.mobility.binding import Phase
from p4pmip.mobility.update_list import Standing
from p4pmip.node.client import NodeClient
from p4pmip.node.service import Service

MN = "mn-1@operator-a.example"
Said = tuple[int, str, str]
"""Exit status, standard output, standard error."""


async def order(folder: Path, command: str, mag: str, *more: str) -> Said:
    """A command, as a person gives it."""
    words = [command, "--node", str(folder / f"{mag}.admin"), MN, "11", *more]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "p4pmip.cli.main", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await child.communicate()
    assert child.returncode is not None
    return child.returncode, output.decode(), errors.decode()


def read_only(service: Service, name: str) -> None:
    """The journal of a node refuses to write from now on."""
    service.nodes[name].journal._journal._connection.execute("PRAGMA query_only = 1")  # type: ignore[attr-defined]


def at(service: Service, name: str) -> int:
    """The active sessions of a node."""
    return sum(session.phase is Phase.ACTIVE for session in service.nodes[name].sessions())


async def test_who_is_registered_is_told_with_addresses(tmp_path: Path) -> None:
    """And only then: the LMA has the binding when the command returns."""
    content = document(tmp_path)
    content["realms"]["operator-a"]["prefix_pool"] = "2001:db8:a::/48"
    async with running(tmp_path, content) as (service, _):
        for command, mag in (("attach", "mag-1"), ("attach", "mag-1"), ("move", "mag-2"), ("move", "mag-1")):
            told = await order(tmp_path, command, mag)
            (session,) = [one for one in service.nodes[mag].sessions() if one.phase is Phase.ACTIVE]
            (prefix,) = session.binding.prefixes
            line = f"{MN}: session {session.session_id} on link 11 of {mag}: active, 10.1.0.10, {prefix}\n"
            assert told == (0, line, "")
            assert at(service, "lma") == 1
            (row,) = (await asyncio.to_thread(NodeClient(str(tmp_path / "lma.admin")).get, "/bindings"))["bindings"]
            assert row["mag"] == mag


async def test_a_refusal_by_the_own_journal_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, document(tmp_path)) as (service, _):
        read_only(service, "mag-1")
        status, output, errors = await order(tmp_path, "attach", "mag-1")
        assert (status, output) == (1, "")
        assert errors == f"p4pmip: {MN}: session 1 on link 11 of mag-1: refused by the journal of mag-1: read_only\n"


async def test_a_refusal_by_the_lma_is_told(tmp_path: Path) -> None:
    """At once, though the MAG will ask again; and what comes of that is told to who asks then."""
    async with running(tmp_path, document(tmp_path)) as (service, _):
        read_only(service, "lma")
        status, output, errors = await order(tmp_path, "move", "mag-1", "--wait", "3600")
        assert (status, output) == (1, "")
        assert errors.endswith("refused: status 130 (insufficient resources); mag-1 will ask again\n")
        assert len(errors.splitlines()) == 1
        service.nodes["lma"].journal._journal._connection.execute("PRAGMA query_only = 0")  # type: ignore[attr-defined]
        status, output, _ = await order(tmp_path, "move", "mag-1", "--wait", "60")
        assert (status, at(service, "lma")) == (0, 1)
        assert output.endswith(": active, 10.1.0.10\n")


@pytest.mark.parametrize("known", [False, True])
async def test_an_lma_that_does_not_run_is_told(tmp_path: Path, known: bool) -> None:
    """Whether the mobile node is new to the MAG or has a binding; who does not wait is told what has been asked."""
    async with running(tmp_path, document(tmp_path)) as (service, _):
        if known:
            assert (await order(tmp_path, "attach", "mag-1"))[0] == 0
        await service.nodes["lma"].stop()
        status, output, errors = await order(tmp_path, "attach", "mag-1", "--wait", "0.5")
        assert (status, output) == (1, "")
        assert errors.endswith("of mag-1: no answer from LMA lma within 0.5 s; mag-1 goes on asking\n")
        assert at(service, "mag-1") == int(known)
        told = await order(tmp_path, "attach", "mag-1", "--no-wait")
        assert told == (0, f"{MN}: session 1 on link 11 of mag-1\n", "")


async def test_what_the_mag_gives_up_is_told(tmp_path: Path) -> None:
    """With the alarm that says why: here another session has the only GRE key."""
    content = document(tmp_path)
    content["nodes"]["mag-1"]["mag"] |= {"key_first": 7, "key_last": 7}
    async with running(tmp_path, content) as (service, _):
        other = NodeClient(str(tmp_path / "mag-1.admin"))
        told = await asyncio.to_thread(other.post, "/attach", mn="mn-2@operator-a.example", link="11", wait=60)
        assert (told["outcome"], told["binding"]["state"]) == ("registered", "active")
        status, output, errors = await order(tmp_path, "attach", "mag-1")
        assert (status, output) == (1, "")
        assert errors.endswith("of mag-1: given up: keys_exhausted: 7-7\n")
        assert at(service, "mag-1") == 1


async def test_a_request_that_does_not_wait_is_answered_as_ever(tmp_path: Path) -> None:
    async with running(tmp_path, document(tmp_path)):
        node = NodeClient(str(tmp_path / "mag-1.admin"))
        told = await asyncio.to_thread(node.post, "/attach", mn=MN, link="11")
        assert told == {"node": "mag-1", "mn": MN, "link": "11", "session": 1}
        for wait in (0, -1, 3601, True, "10", float("nan")):
            with pytest.raises(P4pmipError, match="wait: must be a number of seconds, at most 3600"):
                await asyncio.to_thread(node.post, "/attach", mn=MN, link="11", wait=wait)


async def test_a_pbu_that_would_be_too_soon_is_no_refusal(tmp_path: Path) -> None:
    """More than three in a second are not sent (RFC 6275 MAX_UPDATE_RATE): the answer to the next one is waited for."""
    async with running(tmp_path, document(tmp_path)) as (service, _):
        node = NodeClient(str(tmp_path / "mag-1.admin"))
        for _number in range(8):
            told = await asyncio.to_thread(node.post, "/attach", mn=MN, link="11", wait=60)
            assert told["outcome"] == "registered"
        assert service.nodes["mag-1"].mag.counters["rate_limited"] > 0  # type: ignore[union-attr]


async def test_a_node_that_stops_lets_nobody_wait(tmp_path: Path) -> None:
    """Who waits hears that it is gone, and it does not wait for them."""
    async with running(tmp_path, document(tmp_path)) as (service, _):
        await service.nodes["lma"].stop()
        waiting = asyncio.create_task(order(tmp_path, "attach", "mag-1", "--wait", "3600"))
        mag = service.nodes["mag-1"].mag
        assert mag is not None
        await until(service, lambda: mag.standing(1) is Standing.ASKED)
        await service.admins["mag-1"].stop()
        status, output, errors = await waiting
        assert (status, output, len(errors.splitlines())) == (2, "", 1)
        assert "no node answers" in errors
