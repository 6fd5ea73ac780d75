"""The pipeline configuration that targets should run: P4Info, compiled program and a cookie that tells them apart."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.codec import Codec
from p4pmip.p4runtime.schema import Schema, compile_schema, differences, parse_p4info
from p4pmip.p4runtime.stubs import p4info_pb2, p4runtime_pb2


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """A P4Info with its compiled program (`config` is empty where only entries are read or written)."""

    p4info: p4info_pb2.P4Info
    config: bytes = b""
    schema: Schema = field(init=False)
    codec: Codec = field(init=False)
    cookie: int = field(init=False)
    """64 bits over P4Info and program, never 0: with an equal cookie a target runs an equal pipeline."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", compile_schema(self.p4info))
        object.__setattr__(self, "codec", Codec(self.schema))
        digest = hashlib.sha256(self.p4info.SerializeToString(deterministic=True))
        digest.update(self.config)
        object.__setattr__(self, "cookie", int.from_bytes(digest.digest()[:8], "big") or 1)

    @classmethod
    def packaged(cls) -> "Pipeline":
        """The program that travels with p4pmip."""
        folder = resources.files("p4pmip") / "pipeline"
        info = parse_p4info((folder / "pmip.p4info.txtpb").read_bytes(), "pmip.p4info.txtpb")
        return cls(info, (folder / "pmip.json").read_bytes())

    @classmethod
    def load(cls, p4info: Path, config: Path | None = None) -> "Pipeline":
        """From files; P4pmipError names the file that cannot be used."""
        info = parse_p4info(_read("P4Info", p4info), str(p4info))
        return cls(info, b"" if config is None else _read("pipeline", config))

    @classmethod
    def of(cls, config: p4runtime_pb2.ForwardingPipelineConfig) -> "Pipeline":
        """What a target says it runs."""
        return cls(config.p4info, config.p4_device_config)

    def message(self) -> p4runtime_pb2.ForwardingPipelineConfig:
        """For SetForwardingPipelineConfig."""
        message = p4runtime_pb2.ForwardingPipelineConfig(p4info=self.p4info, p4_device_config=self.config)
        message.cookie.cookie = self.cookie
        return message

    def foreign(self, ours: "Pipeline", tables: Iterable[str]) -> list[str]:
        """Why this is not a program whose `tables` can be written with what is known of `ours`; empty if it is."""
        return differences(self.schema, ours.schema, tables)


def _read(what: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise P4pmipError(what, str(path), error.strerror or "cannot be read") from None
