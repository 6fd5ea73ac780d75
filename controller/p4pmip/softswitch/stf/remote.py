"""Any P4Runtime target as a bench: entries by its P4Runtime, packets by BMv2's packet service."""

import itertools
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.process.dataplane import MESSAGES, SERVICE
from p4pmip.softswitch.target.config import load
from p4pmip.softswitch.target.stubs import p4runtime, p4runtime_grpc

SECONDS = 20.0
"""For one request."""
QUIET = 0.3
"""Seconds without a packet after which no more is expected: nothing else tells that a target dropped the last one."""
PATIENCE = 5.0
"""Seconds for a packet that should come."""
_DROP_PORT = 511
_UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_metadata_size", 1 << 20))


class RemoteBench:
    """A target as its only controller: setting the program takes away what the file before has written.

    Args:
        config: The program, which the target must take.
        address: The target's P4Runtime address.
        device_id: Its device.
        packets: Where its packet service listens (`--dp-grpc-server-addr` of `simple_switch_grpc` and of the
            softswitch).

    Raises:
        P4pmipError: The target does not answer, has another primary, or does not take the program.
    """

    def __init__(
        self, config: "p4runtime.ForwardingPipelineConfig", address: str, device_id: int, packets: str
    ) -> None:
        self.schema = load(config, _DROP_PORT).schema
        self._label = f"{address}/{device_id}"
        self._device_id = device_id
        self._out: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
        self._received: list[tuple[int, bytes]] = []
        self._under_way = False
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._channels = [grpc.insecure_channel(one, options=_UNLIMITED) for one in (address, packets)]
        self._stub: Any = p4runtime_grpc.P4RuntimeStub(self._channels[0])
        self._election = p4runtime.Uint128(low=time.time_ns() // 1000)
        self._asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
        try:
            self._arbitrate()
            request = p4runtime.SetForwardingPipelineConfigRequest(
                device_id=device_id,
                election_id=self._election,
                action=p4runtime.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT,
                config=config,
            )
            self._stub.SetForwardingPipelineConfig(request, timeout=SECONDS)
        except grpc.RpcError as error:
            self.close()
            raise P4pmipError("STF", self._label, _words(error)) from error
        stream = self._channels[1].stream_stream(
            f"/{SERVICE}/PacketStream",
            request_serializer=MESSAGES["PacketStreamRequest"].SerializeToString,
            response_deserializer=MESSAGES["PacketStreamResponse"].FromString,
        )(iter(self._requests.get, None))
        threading.Thread(target=self._listen, args=(stream,), daemon=True).start()

    def _arbitrate(self) -> None:
        hello = p4runtime.StreamMessageRequest()
        hello.arbitration.device_id = self._device_id
        hello.arbitration.election_id.CopyFrom(self._election)
        # Kept: a stream that nobody holds ends, and with it the mastership.
        self._answers: Iterator[Any] = self._stub.StreamChannel(
            itertools.chain([hello], iter(self._asked.get, None)), timeout=None
        )
        status = next(self._answers).arbitration.status
        if status.code:
            raise P4pmipError("STF", self._label, f"has another primary: {status.message}")

    def _listen(self, stream: Any) -> None:
        try:
            for response in stream:
                self._out.put((response.port, response.packet))
        except grpc.RpcError:
            pass  # the channel was closed, or the target has gone: the packets that are missing tell it

    def close(self) -> None:
        """End both streams."""
        self._asked.put(None)
        self._requests.put(None)
        for channel in self._channels:
            channel.close()

    def write(self, update: "p4runtime.Update") -> None:
        """Write one update.

        Raises:
            P4pmipError: The target refuses it.
        """
        request = p4runtime.WriteRequest(device_id=self._device_id, election_id=self._election, updates=[update])
        try:
            self._stub.Write(request, timeout=SECONDS)
        except grpc.RpcError as error:
            raise P4pmipError("STF", self._label, _words(error)) from error

    def read(self, entity: "p4runtime.Entity") -> "list[p4runtime.Entity]":
        """Read entities.

        Raises:
            P4pmipError: The target refuses it.
        """
        request = p4runtime.ReadRequest(device_id=self._device_id, entities=[entity])
        try:
            return [one for response in self._stub.Read(request, timeout=SECONDS) for one in response.entities]
        except grpc.RpcError as error:
            raise P4pmipError("STF", self._label, _words(error)) from error

    def packet(self, port: int, frame: bytes) -> None:
        """Send a packet in."""
        self._under_way = True
        self._requests.put(MESSAGES["PacketStreamRequest"](device_id=self._device_id, port=port, packet=frame))

    def received(self, expected: int) -> list[tuple[int, bytes]]:
        """All packets that came out so far; so many should, and are waited for longer."""
        while self._under_way:
            try:
                timeout = PATIENCE if len(self._received) < expected else QUIET
                self._received.append(self._out.get(timeout=timeout))
            except queue.Empty:
                self._under_way = False
        return self._received


def _words(error: grpc.RpcError) -> str:
    if isinstance(error, grpc.Call):
        return f"{error.code().name.lower()}: {error.details() or ''}"
    return str(error)
