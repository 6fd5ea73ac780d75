"""The P4Runtime messages this room uses; the one place where finsy's stubs are imported."""

from finsy.proto import p4d as p4data
from finsy.proto import p4i as p4info
from finsy.proto import p4r as p4runtime
from finsy.proto import p4r_grpc as p4runtime_grpc
from finsy.proto import rpc_code, rpc_status

__all__ = ["p4data", "p4info", "p4runtime", "p4runtime_grpc", "rpc_code", "rpc_status"]
