"""The desired state of a switch from a configuration file: of the node if it runs, of the journal beside it if not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError
from p4pmip.forwarding.base import base_entries
from p4pmip.forwarding.session import entries
from p4pmip.mobility.binding import Binding
from p4pmip.mobility.record import Record, from_record, read
from p4pmip.node.config import Config, load
from p4pmip.node.context import context_of, journalled_ids
from p4pmip.node.neighbours import journalled_neighbours
from p4pmip.p4runtime.desired import Desired, fetch_desired
from p4pmip.store.error import JournalError, JournalReason, corrupt_by_name
from p4pmip.store.sqlite import SqliteJournal
from p4pmip.wire.describe import text


def desired_from_config(path: Path, target: str) -> Desired:
    """What the target of one of the nodes should hold, as far as configuration and journal tell.

    Raises:
        P4pmipError: The file cannot be used, no node of it has this target, or its journal is in use or corrupt.
    """
    config = load(path)
    name = node_of_target(config, target)
    try:
        records = _records(config.journal(name), name)
    except JournalError as error:
        admin = config.admin(name)
        if error.reason is not JournalReason.LOCKED or not isinstance(admin, Path):
            raise
        # The node runs, and its own word is newer anyway.
        switch = config.target(name)
        return fetch_desired(admin, f"{switch.address}/{switch.device_id}")
    with corrupt_by_name(config.journal(name)):
        configured = context_of(config, config.nodes[name], journalled_ids(records))
        context = replace(configured, neighbours=(*configured.neighbours, *journalled_neighbours(records, configured)))
        sessions = [read(one, lambda row: from_record(row.payload)) for one in records if one.kind == "session"]
    bindings = [session.binding for session in sessions if session.tunnel is not None]
    found = {entry.key: entry for entry in base_entries(context)}
    for binding in bindings:
        found.update({entry.key: entry for entry in entries(binding, context)})
    return Desired(tuple(found.values()), {binding.session_id: about(binding) for binding in bindings})


def about(binding: Binding) -> dict[str, Any]:
    """What the inspection commands show of a session."""
    return {"mn": text(binding.mn), "realm": binding.realm, "role": binding.role.value, "state": binding.phase.value}


def node_of_target(config: Config, target: str) -> str:
    """The node that a target belongs to, named by the node's name or the target's address.

    Raises:
        P4pmipError: There is none.
    """
    for name, node in config.nodes.items():
        switch = config.target(name)
        if target in (name, node.target, f"{switch.address}/{switch.device_id}"):
            return name
    choices = [node.target for node in config.nodes.values()]
    raise P4pmipError("target", target, "no node of the configuration has it", choices)


def _records(path: Path, name: str) -> list[Record]:
    if not path.exists():
        return []
    journal = SqliteJournal.open(path, name)
    try:
        return list(journal.load())
    finally:
        journal.close()
