"""P4Runtime's RPCs over octets: requests are decoded, done, and answered, whichever transport carries them."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.target.arbitration import Stream
from p4pmip.softswitch.target.device import Device
from p4pmip.softswitch.target.refusal import Code, Refusal
from p4pmip.softswitch.target.stubs import p4runtime, rpc_status
from p4pmip.softswitch.trace import Recorder

READ_CHUNK = 1000
"""Entities in one ReadResponse."""

SERVICE = "p4.v1.P4Runtime"
EXPLAIN_SERVICE = "p4pmip.softswitch.Explain"
DROPPED = f"/{EXPLAIN_SERVICE}/Dropped"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one RPC."""

    responses: tuple[bytes, ...]
    code: int = 0
    message: str = ""
    details: bytes = b""
    """A google.rpc.Status, for errors of single updates."""


class Endpoint:
    """One device behind P4Runtime's methods. `now` and `utc` are the clocks."""

    def __init__(self, device: Device, now: Callable[[], float], utc: Callable[[], float]) -> None:
        self.device = device
        self._now = now
        self._utc = utc
        self._streams: dict[int, tuple[Callable[[bytes], None], Callable[[int, str], None]]] = {}
        self._methods: dict[str, Callable[[bytes], Reply]] = {
            f"/{SERVICE}/Write": self._write,
            f"/{SERVICE}/Read": self._read,
            f"/{SERVICE}/SetForwardingPipelineConfig": self._set_config,
            f"/{SERVICE}/GetForwardingPipelineConfig": self._get_config,
            f"/{SERVICE}/Capabilities": self._capabilities,
            f"/{EXPLAIN_SERVICE}/Trace": self._trace,
            DROPPED: self._dropped,
        }
        device.send = self._send

    def call(self, method: str, request: bytes) -> Reply:
        """One unary or server-streaming RPC. Never raises."""
        try:
            return self._methods[method](request)
        except Refusal as refusal:
            return Reply((), refusal.code, str(refusal))
        except P4pmipError as error:
            return Reply((), Code.INVALID_ARGUMENT, str(error))
        except DecodeError as error:
            return Reply((), Code.INVALID_ARGUMENT, f"the request is malformed: {error}")

    def tick(self) -> None:
        """Time passes: digests and idle timeouts."""
        self.device.tick(self._now(), self._utc())

    # -- methods --

    def _write(self, data: bytes) -> Reply:
        results = self.device.write(p4runtime.WriteRequest.FromString(data), self._now())
        return self._answered((b"",), results, "updates")

    def _read(self, data: bytes) -> Reply:
        request = p4runtime.ReadRequest.FromString(data)
        entities, results = self.device.read(request, self._now())
        chunks = [entities[at : at + READ_CHUNK] for at in range(0, len(entities), READ_CHUNK)] or [[]]
        responses = tuple(p4runtime.ReadResponse(entities=one).SerializeToString() for one in chunks)
        return self._answered(responses, results, "entities")

    @staticmethod
    def _answered(responses: tuple[bytes, ...], results: list[Refusal | None], what: str) -> Reply:
        """UNKNOWN if something was refused, with an error for each part of the request (§12.3, §13.4)."""
        failed = [one for one in results if one is not None]
        if not failed:
            return Reply(responses)
        status = rpc_status.Status(code=Code.UNKNOWN)
        error = p4runtime.Error()
        for refusal in results:
            error.Clear()
            if refusal is not None:
                error.canonical_code, error.message, error.space = refusal.code, str(refusal), "p4pmip"
            status.details.add().Pack(error)
        status.message = f"{len(failed)} of {len(results)} {what} refused, the first one: {failed[0]}"
        return Reply(responses, Code.UNKNOWN, status.message, status.SerializeToString())

    def _set_config(self, data: bytes) -> Reply:
        self.device.set_config(p4runtime.SetForwardingPipelineConfigRequest.FromString(data), self._now())
        return Reply((b"",))

    def _get_config(self, data: bytes) -> Reply:
        request = p4runtime.GetForwardingPipelineConfigRequest.FromString(data)
        return Reply((self.device.get_config(request).SerializeToString(),))

    def _capabilities(self, data: bytes) -> Reply:
        request = p4runtime.CapabilitiesRequest.FromString(data)
        return Reply((self.device.capabilities(request).SerializeToString(),))

    def _trace(self, data: bytes) -> Reply:
        """Not P4Runtime: run one packet and tell what happened (JSON both ways)."""
        try:
            request = json.loads(data)
            port, frame = int(request["port"]), bytes.fromhex(request["hex"])
            if port < 0:
                raise ValueError("the port is negative")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Refusal(Code.INVALID_ARGUMENT, "packet to trace", str(error), "is not PORT and HEX") from error
        running = self.device.running
        if running is None:
            raise Refusal(Code.FAILED_PRECONDITION, "forwarding pipeline", None, "no pipeline was pushed yet")
        recorder = Recorder(running.pipeline.program, running.config.p4info)
        recorder.run(running.pipeline, port, frame, self._now(), self.device.deliver)
        return Reply((json.dumps(recorder.result()).encode(),))

    def _dropped(self, _: bytes) -> Reply:
        """Not P4Runtime: what was dropped since the start, by reason (JSON)."""
        return Reply((json.dumps(self.device.dropped()).encode(),))

    # -- streams --

    def stream_opened(self, stream: int, message: Callable[[bytes], None], end: Callable[[int, str], None]) -> None:
        """A StreamChannel: `message` takes what is for its controller, `end` ends it."""
        self._streams[stream] = (message, end)

    def stream_message(self, stream: int, data: bytes) -> None:
        """One message from a controller. Never raises."""
        if stream not in self._streams:
            return
        try:
            request = p4runtime.StreamMessageRequest.FromString(data)
            self.device.stream_message(stream, request, self._now())
        except Refusal as refusal:
            self._end(stream, refusal.code, str(refusal))
        except DecodeError as error:
            self._end(stream, Code.INVALID_ARGUMENT, f"the message is malformed: {error}")

    def stream_closed(self, stream: int) -> None:
        """The controller has gone."""
        if self._streams.pop(stream, None) is not None:
            self.device.stream_closed(stream)

    def _end(self, stream: int, code: int, message: str) -> None:
        _, end = self._streams[stream]
        self.stream_closed(stream)
        end(code, message)

    def _send(self, stream: Stream, message: "p4runtime.StreamMessageResponse") -> None:
        assert isinstance(stream, int)
        known = self._streams.get(stream)
        if known is not None:
            known[0](message.SerializeToString())
