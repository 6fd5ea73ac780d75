"""A log of what targets are asked, one line a request: P4Runtime at work, for those who want to see it.

GRE keys stand in the lines. They are at debug level, of a logger that is silent until somebody gives it a level.
"""

import logging

from google.protobuf import text_format
from google.protobuf.message import DecodeError, Message

from p4pmip.p4runtime.status import RpcProblem
from p4pmip.p4runtime.stubs import p4runtime_pb2

MESSAGES = logging.getLogger("p4pmip.p4runtime.messages")
MESSAGES.setLevel(logging.CRITICAL)


def asked(target: str, method: str, request: Message | bytes) -> None:
    """A request leaves for a target; octets are those of a WriteRequest."""
    if MESSAGES.isEnabledFor(logging.DEBUG):
        MESSAGES.debug("%s %s %s", target, method, _text(request))


def answered(target: str, method: str, problem: RpcProblem | None) -> None:
    """A target has answered a request."""
    if MESSAGES.isEnabledFor(logging.DEBUG):
        MESSAGES.debug("%s %s answered: %s", target, method, "ok" if problem is None else problem.whole)


def _text(request: Message | bytes) -> str:
    if isinstance(request, bytes):
        try:
            return _text(p4runtime_pb2.WriteRequest.FromString(request))
        except DecodeError:
            return f"{len(request)} octets that are no WriteRequest"
    if isinstance(request, p4runtime_pb2.SetForwardingPipelineConfigRequest):
        # A compiled program is a megabyte: its size and cookie tell it apart.
        config = request.config
        sizes = f"P4Info {config.p4info.ByteSize()} octets, device config {len(config.p4_device_config)} octets"
        action = p4runtime_pb2.SetForwardingPipelineConfigRequest.Action.Name(request.action)
        return f"device_id: {request.device_id} action: {action} cookie: {config.cookie.cookie} ({sizes})"
    return text_format.MessageToString(request, as_one_line=True)
