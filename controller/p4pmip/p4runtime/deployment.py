"""Setting a target's pipeline: cookie first, and only if it must be."""

from collections.abc import Iterable

from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.status import TargetError
from p4pmip.p4runtime.stubs import code_pb2, p4runtime_pb2

_GET = p4runtime_pb2.GetForwardingPipelineConfigRequest
_SET = p4runtime_pb2.SetForwardingPipelineConfigRequest


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
