"""The generated P4Runtime messages: the only module here that knows whose they are."""

from finsy.proto import p4i as p4info_pb2
from finsy.proto import p4r as p4runtime_pb2
from finsy.proto import p4t as p4types_pb2
from finsy.proto import rpc_code as code_pb2
from finsy.proto import rpc_status as status_pb2
from finsy.proto.p4.v1.p4runtime_pb2_grpc import P4RuntimeServicer, add_P4RuntimeServicer_to_server

SERVICE = "/p4.v1.P4Runtime/"
"""Path prefix of every method (P4Runtime v1 §"P4Runtime Service")."""

__all__ = [
    "SERVICE",
    "P4RuntimeServicer",
    "add_P4RuntimeServicer_to_server",
    "code_pb2",
    "p4info_pb2",
    "p4runtime_pb2",
    "p4types_pb2",
    "status_pb2",
]
