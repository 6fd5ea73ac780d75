"""Programs compiled by p4c, and a switch that serves P4Runtime on a random port."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
from google.protobuf import text_format

from p4pmip.softswitch import SoftSwitch
from p4pmip.softswitch.target.stubs import p4info, p4runtime, p4runtime_grpc

PROGRAMS = Path(__file__).parent / "programs"


def _config(name: str) -> "p4runtime.ForwardingPipelineConfig":
    config = p4runtime.ForwardingPipelineConfig()
    text_format.Parse((PROGRAMS / f"{name}.p4info.txtpb").read_text(), config.p4info)
    config.p4_device_config = (PROGRAMS / f"{name}.json").read_bytes()
    config.cookie.cookie = 7
    return config


@pytest.fixture(scope="session")
def program() -> Callable[[str], "p4runtime.ForwardingPipelineConfig"]:
    """A program of this directory, by its name."""
    return _config


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The switch's clock."""
    return Clock()


class Controller:
    """A P4Runtime client of the switch, by the bare stubs."""

    def __init__(self, channel: grpc.aio.Channel, info: "p4info.P4Info | None" = None) -> None:
        self.stub = p4runtime_grpc.P4RuntimeStub(channel)
        self.stream = self.stub.StreamChannel()
        self.info = info

    async def arbitrate(self, election: int | None = 1, device_id: int = 1, role: str = "") -> int:
        """Send an arbitration update; the code of the answer."""
        request = p4runtime.StreamMessageRequest()
        request.arbitration.device_id = device_id
        if role:
            request.arbitration.role.name = role
        if election is not None:
            request.arbitration.election_id.low = election
        await self.stream.write(request)
        return (await self.receive()).arbitration.status.code

    async def receive(self) -> "p4runtime.StreamMessageResponse":
        """The next message of the stream."""
        message = await self.stream.read()
        assert isinstance(message, p4runtime.StreamMessageResponse)
        return message

    async def push(
        self, config: "p4runtime.ForwardingPipelineConfig", action: str = "VERIFY_AND_COMMIT", election: int = 1
    ) -> None:
        """SetForwardingPipelineConfig."""
        kind = p4runtime.SetForwardingPipelineConfigRequest.Action.Value(action)
        request = p4runtime.SetForwardingPipelineConfigRequest(device_id=1, action=kind, config=config)
        request.election_id.low = election
        await self.stub.SetForwardingPipelineConfig(request)
        self.info = config.p4info

    async def write(self, *updates: "p4runtime.Update", election: int = 1, atomicity: int = 0) -> None:
        """Write a batch."""
        request = p4runtime.WriteRequest(device_id=1, updates=updates, atomicity=atomicity)  # type: ignore[arg-type]
        request.election_id.low = election
        await self.stub.Write(request)

    async def read(self, entity: "p4runtime.Entity") -> "list[p4runtime.Entity]":
        """Read one kind of entity."""
        request = p4runtime.ReadRequest(device_id=1, entities=[entity])
        return [one async for response in self.stub.Read(request) for one in response.entities]


@pytest.fixture
async def served(clock: Clock) -> AsyncIterator[tuple[SoftSwitch, str]]:
    """A switch and the address of its P4Runtime server."""
    switch = SoftSwitch(device_id=1, cpu_port=510, clock=clock)
    async with switch.serve() as address:
        yield switch, address


@pytest.fixture
async def controller(served: tuple[SoftSwitch, str]) -> AsyncIterator[Controller]:
    """A client that is connected, and nothing else yet."""
    async with grpc.aio.insecure_channel(served[1], options=[("grpc.max_metadata_size", 1 << 20)]) as channel:
        yield Controller(channel)
