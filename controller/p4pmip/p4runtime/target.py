"""Which targets there are and how to reach them: `HOST:PORT[/DEVICE_ID]`, or a name in an inventory file."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.quirks import PROFILES, Quirks, profile

_T = TypeVar("_T", str, int)
_U = TypeVar("_U")
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


class InventoryError(P4pmipError):
    """An inventory that cannot be used; `findings` has one line for each thing wrong."""

    def __init__(self, path: Path, findings: tuple[str, ...]) -> None:
        super().__init__("inventory", str(path), "; ".join(findings))
        self.findings = findings

    def __str__(self) -> str:
        return "\n".join(self.findings)


def load_inventory(path: Path) -> dict[str, Target]:
    """The targets of a TOML file by name; InventoryError names every key at fault.

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
    reading = _Reading(path)
    targets = reading.table(document, "targets", ("targets",), str(path))
    found = {name: reading.target(name, value) for name, value in targets.items()}
    if reading.findings:
        raise InventoryError(path, tuple(reading.findings))
    return found


class _Reading:
    """An inventory as it is read; what is wrong is collected, and something usable returned in its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.findings: list[str] = []

    def target(self, name: str, value: object) -> Target:
        place = f"{self._path}: targets.{name}"
        keys = self._keys(value, ("address", "device_id", "kind", "quirks", "tls"), place)
        address = self._checked(lambda: _address(keys, place), "")
        device_id = self._checked(lambda: _device_id(keys.get("device_id", 0), f"{place}.device_id"), 0)
        kind = self._checked(lambda: _typed(keys.get("kind", "generic"), str, f"{place}.kind"), "generic")
        quirks = self._checked(lambda: profile(kind, f"{place}.kind"), PROFILES["generic"])
        for quirk, changed in self._keys(keys.get("quirks", {}), None, f"{place}.quirks").items():
            quirks = self._checked(partial(quirks.with_changes, {quirk: changed}, f"{place}.quirks"), quirks)
        tls = self._tls(keys["tls"], f"{place}.tls") if "tls" in keys else None
        return Target(address, device_id, name, tls, quirks)

    def table(self, document: Mapping[str, Any], key: str, known: tuple[str, ...], place: str) -> Mapping[str, Any]:
        return self._keys(self._keys(document, known, place).get(key, {}), None, f"{place}: {key}")

    def _tls(self, value: object, place: str) -> Tls:
        keys = self._keys(value, ("ca", "certificate", "key", "server_name"), place)
        files: dict[str, Path] = {}
        for name in ("ca", "certificate", "key"):
            if name in keys:
                file = self._checked(partial(_file, self._path.parent, keys[name], f"{place}.{name}"), None)
                if file is not None:
                    files[name] = file
        if ("certificate" in keys) != ("key" in keys):
            self.findings.append(f"{place}: certificate and key belong together")
        return Tls(**files, server_name=self._checked(lambda: _server_name(keys, place), ""))

    def _keys(self, value: object, known: tuple[str, ...] | None, place: str) -> Mapping[str, Any]:
        """The keys of a table, without those that nobody knows."""
        if not isinstance(value, dict):
            self.findings.append(str(P4pmipError(place, value, "must be a table")))
            return {}
        unknown = [] if known is None else [key for key in value if key not in known]
        self.findings += [str(P4pmipError(place, key, "no such key", known or ())) for key in unknown]
        return {key: one for key, one in value.items() if key not in unknown}

    def _checked(self, read: Callable[[], _U], otherwise: _U) -> _U:
        try:
            return read()
        except P4pmipError as error:
            self.findings.append(str(error))
            return otherwise


def _address(keys: Mapping[str, Any], place: str) -> str:
    if "address" not in keys:
        raise P4pmipError(place, None, "has no address")
    address = _typed(keys["address"], str, f"{place}.address")
    matched = _ADDRESS.fullmatch(address)
    if matched is None or matched["device"] is not None:
        raise P4pmipError(f"{place}.address", address, "not HOST:PORT")
    if matched["port"] is not None and not 0 < int(matched["port"]) < 65536:
        raise P4pmipError(f"{place}.address", address, "port is not in 1..65535")
    if matched["port"] is not None and not 0 < int(matched["port"]) < 65536:
        raise P4pmipError(f"{place}.address", address, "port is not in 1..65535")
    return address


def _device_id(value: object, place: str) -> int:
    device_id = _typed(value, int, place)
    if not 0 <= device_id < 1 << 64:
        raise P4pmipError(place, device_id, "does not fit 64 bits")
    return device_id


def _file(folder: Path, value: object, place: str) -> Path | None:
    file = folder / _typed(value, str, place)
    if not file.is_file():
        raise P4pmipError(place, str(file), "no such file")
    return file


def _server_name(keys: Mapping[str, Any], place: str) -> str:
    return _typed(keys.get("server_name", ""), str, f"{place}.server_name")


def _typed(value: object, kind: type[_T], place: str) -> _T:
    if type(value) is not kind:
        raise P4pmipError(place, value, f"must be {kind.__name__}")
    return value
