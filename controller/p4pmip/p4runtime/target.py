"""Which targets there are and how to reach them: `HOST:PORT[/DEVICE_ID]`, or a name in an inventory file."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.quirks import PROFILES, Quirks, profile

_T = TypeVar("_T", str, int)
_ADDRESS = re.compile(
    r"(?P<address>(?:\[[0-9A-Fa-f:.%]+\]|[^\s/:\[\]]+):(?P<port>[0-9]+)|unix:[^\s]+?)(?:/(?P<device>[0-9]+))?"
)


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of a TLS channel: the authority that signed the target, and for mutual TLS our own pair."""

    ca: Path | None = None
    """None: the system's authorities."""
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""
    """What the target's certificate must be for, where it is not the address."""


@dataclass(frozen=True, slots=True)
class Target:
    """One device behind one P4Runtime server."""

    address: str
    """`host:port`, `[v6]:port` or `unix:path`, as gRPC takes it."""
    device_id: int = 0
    name: str = ""
    tls: Tls | None = None
    quirks: Quirks = PROFILES["generic"]

    @property
    def label(self) -> str:
        """What to call it in messages: its name or else `address/device id`."""
        return self.name or f"{self.address}/{self.device_id}"


def parse_target(text: str, inventory: Mapping[str, Target] | None = None, quirks: Quirks | None = None) -> Target:
    """The target that a person named; P4pmipError says what is wrong with the text and which names there are.

    `quirks` are those of a target given by address; the default is the softswitch's and BMv2's common ground.
    """
    if inventory and text in inventory:
        return inventory[text]
    matched = _ADDRESS.fullmatch(text)
    if matched is None:
        names = tuple(inventory or ())
        raise P4pmipError("target", text, "not HOST:PORT[/DEVICE_ID] nor a name in the inventory", names)
    if matched["port"] is not None and not 0 < int(matched["port"]) < 65536:
        raise P4pmipError("target", text, "port is not in 1..65535")
    device = int(matched["device"] or 0)
    if device >= 1 << 64:
        raise P4pmipError("target", text, "device id does not fit 64 bits")
    return Target(matched["address"], device, text, quirks=quirks or PROFILES["bmv2"])


def load_inventory(path: Path) -> dict[str, Target]:
    """The targets of a TOML file by name; P4pmipError names the key at fault.

    ```toml
    [targets.mag1]
    address = "127.0.0.1:9559"
    device_id = 1
    kind = "bmv2"                 # generic, softswitch, bmv2, stratum, no-modify, one-by-one
    quirks = { max_batch = 500 }  # what this one does differently from its kind
    tls = { ca = "ca.pem", certificate = "me.pem", key = "me.key", server_name = "mag1" }
    ```

    Paths are relative to the file.
    """
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise P4pmipError("inventory", str(path), error.strerror or "cannot be read") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise P4pmipError("inventory", str(path), f"not TOML ({error})") from None
    _known(document, ("targets",), str(path))
    targets = _table(document.get("targets", {}), f"{path}: targets")
    return {name: _target(name, _table(value, f"{path}: targets.{name}"), path) for name, value in targets.items()}


def _target(name: str, value: Mapping[str, Any], path: Path) -> Target:
    place = f"{path}: targets.{name}"
    _known(value, ("address", "device_id", "kind", "quirks", "tls"), place)
    if "address" not in value:
        raise P4pmipError(place, dict(value), "has no address")
    address = _typed(value["address"], str, f"{place}.address")
    matched = _ADDRESS.fullmatch(address)
    if matched is None or matched["device"] is not None:
        raise P4pmipError(f"{place}.address", address, "not HOST:PORT")
    device_id = _typed(value.get("device_id", 0), int, f"{place}.device_id")
    if not 0 <= device_id < 1 << 64:
        raise P4pmipError(f"{place}.device_id", device_id, "does not fit 64 bits")
    quirks = profile(_typed(value.get("kind", "generic"), str, f"{place}.kind"), f"{place}.kind")
    quirks = quirks.with_changes(_table(value.get("quirks", {}), f"{place}.quirks"), f"{place}.quirks")
    tls = _tls(_table(value["tls"], f"{place}.tls"), f"{place}.tls", path.parent) if "tls" in value else None
    return Target(address, device_id, name, tls, quirks)


def _tls(value: Mapping[str, Any], place: str, folder: Path) -> Tls:
    _known(value, ("ca", "certificate", "key", "server_name"), place)
    files: dict[str, Path] = {}
    for name in ("ca", "certificate", "key"):
        if name in value:
            files[name] = folder / _typed(value[name], str, f"{place}.{name}")
            if not files[name].is_file():
                raise P4pmipError(f"{place}.{name}", str(files[name]), "no such file")
    if ("certificate" in files) != ("key" in files):
        raise P4pmipError(place, sorted(files), "certificate and key belong together")
    return Tls(**files, server_name=_typed(value.get("server_name", ""), str, f"{place}.server_name"))


def _known(value: Mapping[str, Any], names: tuple[str, ...], place: str) -> None:
    for name in value:
        if name not in names:
            raise P4pmipError(place, name, "no such key", names)


def _table(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise P4pmipError(place, value, "must be a table")
    return value


def _typed(value: Any, kind: type[_T], place: str) -> _T:
    if type(value) is not kind:
        raise P4pmipError(place, value, f"must be {kind.__name__}")
    return value
