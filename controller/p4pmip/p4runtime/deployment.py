"""Setting a target's pipeline: cookie first, and only if it must be."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.arbitration import ELECTION_ID_MAX
from p4pmip.p4runtime.client import SHORT, Client
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.status import Problem, RpcProblem, TargetError, matches
from p4pmip.p4runtime.stubs import code_pb2, p4runtime_pb2
from p4pmip.p4runtime.target import Target

_GET = p4runtime_pb2.GetForwardingPipelineConfigRequest
_SET = p4runtime_pb2.SetForwardingPipelineConfigRequest
_AT_ONCE = 16
"""Targets that are being deployed to at a time."""


class WrongPipeline(P4pmipError):
    """The target runs a program that is not ours, or will not take ours."""


async def running(client: Client) -> Pipeline | None:
    """What the target runs, without the compiled program; None if nothing."""
    config = await client.get_pipeline(_GET.P4INFO_AND_COOKIE)
    return Pipeline.of(config) if config.HasField("p4info") else None


async def is_running(client: Client, pipeline: Pipeline) -> bool:
    """The target runs exactly this pipeline, by its cookie."""
    config = await client.get_pipeline(_GET.COOKIE_ONLY)
    return config.cookie.cookie == pipeline.cookie


async def ensure(
    client: Client, ours: Pipeline, election_id: int, role: str = "", *, deploy: bool, accept: Iterable[str] = ()
) -> Pipeline:
    """The pipeline that the target runs in the end: ours, or one of its own in which the tables of `accept` are ours.

    Raises:
        WrongPipeline: it runs another and is not to be changed, or it does not take ours.
        TargetError: it cannot be asked.
    """
    if await is_running(client, ours):
        return ours
    needed = tuple(accept)
    if needed or not deploy:
        theirs = await running(client)
        lacking = theirs.foreign(ours, needed or ours.schema.tables) if theirs is not None else ["no pipeline is set"]
        if theirs is not None and not lacking:
            return theirs
        if not deploy:
            raise WrongPipeline(client.target.label, "; ".join(lacking), "does not run our program")
    await commit(client, ours, election_id, role)
    return ours


async def verify(client: Client, pipeline: Pipeline, election_id: int, role: str = "") -> None:
    """Have the target check the pipeline, without changing anything, if it can."""
    if not client.target.quirks.verify:
        return
    try:
        await _set(client, pipeline, _SET.VERIFY, election_id, role)
    except TargetError as error:
        if error.cause.code != code_pb2.UNIMPLEMENTED:
            raise _explained(client, error) from None


async def commit(client: Client, pipeline: Pipeline, election_id: int, role: str = "") -> str:
    """Verify and set the pipeline; the action that did it. Entries survive where the target can reconcile them."""
    await verify(client, pipeline, election_id, role)
    if client.target.quirks.reconcile_and_commit:
        try:
            await _set(client, pipeline, _SET.RECONCILE_AND_COMMIT, election_id, role)
        except TargetError as error:
            if error.cause.code not in (code_pb2.UNIMPLEMENTED, code_pb2.INVALID_ARGUMENT, code_pb2.UNKNOWN):
                raise
        else:
            return "reconcile_and_commit"
    try:
        await _set(client, pipeline, _SET.VERIFY_AND_COMMIT, election_id, role)
    except TargetError as error:
        raise _explained(client, error) from None
    return "verify_and_commit"


async def _set(client: Client, pipeline: Pipeline, action: _SET.Action.ValueType, election_id: int, role: str) -> None:
    request = _SET(action=action, role=role, config=pipeline.message())
    request.election_id.high = election_id >> 64
    request.election_id.low = election_id & (1 << 64) - 1
    await client.set_pipeline(request)


def _explained(client: Client, error: TargetError) -> P4pmipError:
    """BMv2 says "Error in first phase of device update" when it cannot read what a newer p4c wrote."""
    if "first phase of device update" in error.cause.message:
        return WrongPipeline(
            client.target.label, error.cause.message, "cannot load the program: p4c and BMv2 versions do not fit"
        )
    return error


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one target."""

    name: str
    result: str
    """`unchanged`, `deployed` or `failed`."""
    reason: str


Progress = Callable[[Target, str], None]
"""Told what is being done to a target."""


async def deploy(
    targets: Sequence[Target],
    pipeline: Pipeline,
    *,
    dry_run: bool = False,
    force: bool = False,
    wait: float = 0.0,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Have every target run the pipeline, many at once; one that fails does not stop the others.

    A target that another primary controls is left alone unless `force`; with `dry_run` every one is. One that nobody
    listens at yet is given `wait` seconds to start.
    """
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(target: Target) -> Outcome:
        async with limit:
            try:
                return await _deploy_one(target, pipeline, dry_run, force, wait, progress or (lambda *_: None))
            except P4pmipError as error:
                # The outcome says which target it was.
                return Outcome(target.label, "failed", str(error).removeprefix(f"{target.label}: "))

    return list(await asyncio.gather(*(one(target) for target in targets)))


async def _deploy_one(
    target: Target, pipeline: Pipeline, dry_run: bool, force: bool, wait: float, progress: Progress
) -> Outcome:
    async with Client(target) as client:
        if wait:
            progress(target, "waiting until it listens")
            await client.listening(wait)
        progress(target, "reading its cookie")
        if await is_running(client, pipeline):
            return Outcome(target.label, "unchanged", "runs this pipeline already")
        theirs = await running(client)
        why = "runs no pipeline" if theirs is None else _difference(theirs, pipeline)
        if dry_run:
            return Outcome(target.label, "unchanged", f"dry run: would be deployed, since it {why}")
        progress(target, "asking to be its primary")
        async with Primacy(client) as primacy:
            election_id = await primacy.obtain(force)
            progress(target, "setting the pipeline")
            action = await commit(client, pipeline, election_id)
        return Outcome(target.label, "deployed", f"{why}; {action}")


def _difference(theirs: Pipeline, ours: Pipeline) -> str:
    if theirs.schema.name != ours.schema.name:
        return f"runs {theirs.schema.name or 'a program without a name'!r}"
    lacking = theirs.foreign(ours, ours.schema.tables)
    return f"runs another {ours.schema.name!r}" + (f": {'; '.join(lacking[:3])}" if lacking else "")


class Primacy:
    """A stream held only to be primary for a moment: it begins with the lowest election id there is.

    Whoever has a controller running is above that, and is asked first by being looked at: a living primary is not
    displaced unless forced.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._call: Any = None

    async def __aenter__(self) -> "Primacy":
        self._call = self._client.stream()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._call.cancel()

    async def obtain(self, force: bool) -> int:
        """The election id with which we are primary. TargetError: there is another, or no answer."""
        election_id = 1
        for _ in range(4):
            try:
                async with asyncio.timeout(SHORT):
                    code, primary = await self._ask(election_id)
            except TimeoutError:
                raise self._error(code_pb2.DEADLINE_EXCEEDED, "no answer to arbitration") from None
            except grpc.aio.AioRpcError as error:
                problem = RpcProblem.of(error).whole
                if not matches(self._client.target.quirks.election_id_taken, problem.message):
                    raise self._error(problem.code, problem.message) from None
                if not force:
                    raise self._error(code_pb2.ALREADY_EXISTS, "another deployment is under way") from None
                self._call = self._client.stream()
                election_id += 1
                continue
            if code == code_pb2.OK:
                return election_id
            if code == code_pb2.ALREADY_EXISTS and not force:
                message = f"another controller (election id {primary}) is primary; --force takes over"
                raise self._error(code, message)
            # Nobody is there, or we were told to: one above (NOT_FOUND announces the highest id that was seen).
            election_id = min(max(primary, election_id) + 1, ELECTION_ID_MAX)
        raise self._error(code_pb2.ABORTED, "did not become primary")

    async def _ask(self, election_id: int) -> tuple[int, int]:
        message = p4runtime_pb2.StreamMessageRequest()
        update = message.arbitration
        update.device_id = self._client.target.device_id
        update.election_id.high, update.election_id.low = election_id >> 64, election_id & (1 << 64) - 1
        # If the stream has ended, reading says why.
        with contextlib.suppress(asyncio.InvalidStateError):
            await self._call.write(message)
        while True:
            response = await self._call.read()
            if response is grpc.aio.EOF:
                raise self._error(code_pb2.UNAVAILABLE, "stream ended")
            if response.HasField("arbitration"):
                answer = response.arbitration
                return answer.status.code, answer.election_id.high << 64 | answer.election_id.low

    def _error(self, code: int, message: str) -> TargetError:
        return TargetError(self._client.target.label, "arbitration", Problem(code, message))
