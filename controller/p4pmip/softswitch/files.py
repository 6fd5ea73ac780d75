"""Programs and other files that a person names: what is wrong with one is said with the option that named it."""

from pathlib import Path

from google.protobuf import text_format

from p4pmip.errors import P4pmipError
from p4pmip.softswitch.target.config import Loaded, load
from p4pmip.softswitch.target.stubs import p4info, p4runtime


def read_octets(option: str, path: Path) -> bytes:
    """The octets of a file.

    Raises:
        P4pmipError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise P4pmipError(option, str(path), error.strerror or "cannot be read") from error


def read_text(option: str, path: Path) -> str:
    """The text of a file.

    Raises:
        P4pmipError: it cannot be read, or is no UTF-8.
    """
    try:
        return read_octets(option, path).decode()
    except UnicodeDecodeError as error:
        raise P4pmipError(option, str(path), f"is no text: octet {error.start} is not UTF-8") from error


def read_p4info(option: str, path: Path) -> "p4info.P4Info":
    """P4Info in protobuf's text format, as p4c writes it.

    Raises:
        P4pmipError: the file cannot be read, or is none.
    """
    try:
        return text_format.Parse(read_text(option, path), p4info.P4Info())
    except text_format.ParseError as error:
        raise P4pmipError(option, str(path), f"is no P4Info as text: {error}".rstrip(": ")) from error


def load_program(option: str, path: Path, config: "p4runtime.ForwardingPipelineConfig", drop_port: int) -> Loaded:
    """Compile and join what came from a file.

    Raises:
        P4pmipError: it cannot be executed here; says what and where.
    """
    try:
        return load(config, drop_port)
    except P4pmipError as error:
        if error.place != "p4_device_config":
            raise
        raise P4pmipError(option, str(path), f"{error.problem} ({error.value})", error.choices) from error
