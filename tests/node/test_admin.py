"""The admin API and those who ask it badly: each gets a refusal in JSON, and the log does not repeat what they said."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.node.world import SECONDS, document, running, until

from p4pmip.node.service import Service

MN = "mn-1@operator-a.example"
KEY = "0x5c4812c7"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """Figure 1, with the LMA's API on TCP."""
    content = document(tmp_path)
    content["nodes"]["lma"]["admin"] = "127.0.0.1:0"
    async with running(tmp_path, content) as (found, _):
        yield found


async def say(folder: Path, octets: bytes, name: str = "mag-1") -> tuple[int, dict[str, Any]]:
    """What is answered to these octets: the status, and the document."""
    reader, writer = await asyncio.open_unix_connection(folder / f"{name}.admin")
    async with asyncio.timeout(SECONDS):
        writer.write(octets)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert "content-type: application/json" in head.lower()
        length = next(line for line in head.lower().splitlines() if line.startswith("content-length:"))
        body = await reader.readexactly(int(length.split(":")[1]))
    writer.close()
    return int(head.split()[1]), json.loads(body)


def request(method: str, path: str, *headers: str, body: bytes | None = None) -> bytes:
    length = () if body is None else (f"Content-Length: {len(body)}",)
    lines = (f"{method} {path} HTTP/1.1", "Host: p4pmip", *headers, *length, "", "")
    return "\r\n".join(lines).encode() + (body or b"")


@pytest.mark.parametrize(
    "octets",
    [
        f"GET /desired {MN} {KEY}\r\n\r\n".encode(),
        f"{MN} {KEY}\r\n\r\n".encode(),
        request("POST", "/attach", f"X {MN}", body=b"{}"),
        request("POST", "/attach", f"X: {MN}\0{KEY}", body=b"{}"),
        request("POST", "/attach", f"X: {MN * 400}", body=b"{}"),
        request("POST", "/attach", f"Content-Length: {MN}"),
        request("POST", "/attach", "Content-Type: application/json", "Transfer-Encoding: chunked") + MN.encode(),
        request("GET", "/health", "Transfer-Encoding: chunked") + f"{MN}\r\n".encode(),
    ],
)
async def test_what_is_no_request_is_refused_in_json_and_counted(
    tmp_path: Path, service: Service, octets: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    counters = service.nodes["mag-1"].counters
    status, told = await say(tmp_path, octets)
    if status == 200:  # what comes behind the answer is no request
        await until(service, lambda: counters["malformed_request"] > 0)
    else:
        assert (status, told["place"], told["value"]) == (400, "request", None)
        assert told["error"].startswith("malformed (")
    assert counters["malformed_request"] == 1
    assert "alarm_defect" not in counters
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    (record,) = [record for record in caplog.records if record.name == "p4pmip.node.admin"]
    assert "\n" not in record.getMessage()
    assert not record.exc_info
    assert (await say(tmp_path, request("GET", "/health")))[0] == 200


class Noticed(logging.Handler):
    """Something was logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.event = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.event.set()


async def test_a_client_that_leaves_in_the_middle_is_no_error(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    noticed = Noticed()
    logging.getLogger("p4pmip.node.admin").addHandler(noticed)
    _, writer = await asyncio.open_unix_connection(tmp_path / "mag-1.admin")
    head = request("POST", "/attach", "Content-Type: application/json", "Content-Length: 99")
    writer.write(head + f'{{"mn": "{MN}"'.encode())
    await writer.drain()
    writer.close()
    async with asyncio.timeout(SECONDS):
        await noticed.event.wait()
    logging.getLogger("p4pmip.node.admin").removeHandler(noticed)
    assert (await say(tmp_path, request("GET", "/health")))[0] == 200
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    assert service.nodes["mag-1"].counters.keys().isdisjoint({"malformed_request", "alarm_defect"})


JSON = "Content-Type: application/json"


async def test_a_request_for_nowhere_is_answered(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await say(tmp_path, b"CONNECT \r\n\r\n"))[0] == 404
    assert service.nodes["mag-1"].counters["malformed_request"] == 1
    assert caplog.records == []


async def test_what_cannot_be_expected_is_refused_in_json(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    expecting = request("GET", "/health", "Expect: something")
    for octets in (expecting, expecting.replace(b"something", b"\xb8"), expecting.replace(b"health", b"nothing")):
        status, told = await say(tmp_path, octets)
        assert (status, told["place"], told["choices"]) == (417, "Expect", ["100-continue"])
    assert caplog.records == []


@pytest.mark.parametrize(
    ("octets", "place"),
    [
        (request("POST", "/attach", f"{JSON}; charset=nosuch", body=b"{}"), "Content-Type"),
        (request("POST", "/attach", f"{JSON}; charset=zlib", body=b"{}"), "Content-Type"),
        (request("POST", "/attach", f"{JSON}; charset=latin-1", body=b"{}"), "Content-Type"),
        (request("POST", "/attach", "Content-Type: text/plain", body=b"{}"), "Content-Type"),
        (request("POST", "/attach", f"{JSON}; charset=UTF-8", body=b'{"mn": 1}'), "mn"),
        (request("POST", "/attach", JSON, body=b"[" * 2000), "body"),
        (request("POST", "/attach", JSON, body=b'{"a":' * 100_000), "body"),
        (request("POST", "/attach", JSON, body=b'{"mn": ' + b"[" * 900 + b"]" * 900 + b"}"), "mn"),
        (request("POST", "/attach", JSON, body=b'{"mn": ' + b"9" * 5000 + b"}"), "body"),
        (request("POST", "/attach", JSON, body=b'{"mn": "\xff"}'), "body"),
        (request("POST", "/attach", JSON, body=b'{"mn": "\\ud800"}'), "MN"),
        (request("POST", "/attach", JSON, body=b'{"mn": "x:x:x:x:x:x"}'), "MAC address"),
        (request("POST", "/attach", JSON, body=b'"' * 3), "body"),
        (request("POST", "/attach", JSON, body=b""), "body"),
        (request("POST", "/attach", JSON, "Content-Encoding: gzip", body=b'{"mn": 1}'), "request"),
        (request("POST", "/attach", JSON, "Content-Encoding: deflate", body=b'{"mn": 1}'), "request"),
        (request("GET", f"/sessions?limit={'9' * 5000}"), "limit"),
        (request("GET", "/sessions?limit=-1"), "limit"),
        (request("GET", f"/events?after={'9' * 5000}"), "after"),
        (request("GET", "/events", f"Last-Event-ID: {'9' * 5000}"), "after"),
        (request("GET", "/desired?target=" + "9" * 5000), "target"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_in_json(
    tmp_path: Path, service: Service, octets: bytes, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, told = await say(tmp_path, octets)
    assert (status, told["place"]) == (400, place)
    assert told["error"]
    assert caplog.records == []
    assert "alarm_defect" not in service.nodes["mag-1"].counters


async def test_a_defect_is_told_and_counted(
    tmp_path: Path, service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p4pmip.node.admin.health", lambda _node: 1 / 0)
    status, told = await say(tmp_path, request("GET", "/health"))
    assert (status, told["error"]) == (500, "failed; the log says why")
    (record,) = caplog.records
    assert record.exc_info
    assert record.about["node"] == "mag-1"  # type: ignore[attr-defined]
    assert service.nodes["mag-1"].counters["alarm_defect"] == 1


async def test_a_host_is_itself_in_any_case(service: Service) -> None:
    host, port = service.admins["lma"].addresses[0][:2]
    for name, origin, status in (
        ("LOCALHOST", None, 200),
        ("LocalHost", "HTTP://LOCALHOST", 200),
        (host, "http://localhost", 200),
        ("LOCALHOST.", None, 421),
        ("localhost", "http://evil.example", 403),
    ):
        reader, writer = await asyncio.open_connection(host, port)
        headers = () if origin is None else (f"Origin: {origin}:{port}",)
        octets = request("GET", "/bindings", *headers, "Connection: close")
        writer.write(octets.replace(b"p4pmip", f"{name}:{port}".encode()))
        assert int((await reader.read()).split()[1]) == status
        writer.close()
