"""What another version of a configuration changes in nodes that run, and what needs a restart."""

from collections.abc import Collection
from dataclasses import dataclass

from p4pmip.node.schema import Config, Keys, MobileNode, NodeSettings, Realm

_REALM_AT_ONCE = ("gre", "dns")
_AT_A_RESTART = ("signalling", "tunnel", "journal", "admin", "ports", "routes", "reconcile_interval")
_ROLE_AT_A_RESTART = (*Keys.model_fields, "idle_timeout")


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference of two configurations."""

    applicable: Config
    """The new configuration, with the old values of what needs a restart."""
    applied: tuple[str, ...]
    need_restart: tuple[str, ...]


def changes(old: Config, new: Config, names: Collection[str]) -> Changes:
    """What the step from `old` to `new` means for the nodes `names`, which run.

    Other nodes of the file are their peers, and change at once. One that comes where all of the file run, or where one
    that runs is gone, would be a second one of them, or one under another name: it waits for a restart.
    """
    applied: list[str] = []
    restart: list[str] = []
    realms = dict(new.realms)
    for name, realm in old.realms.items():
        if name not in new.realms:
            restart.append(f"realms.{name}: removing it needs a restart")
            realms[name] = realm
        elif realm != new.realms[name]:
            realms[name] = _realm(name, realm, new.realms[name], applied, restart)
    applied += [f"realms.{name}: added" for name in new.realms if name not in old.realms]
    if old.mobile_nodes != new.mobile_nodes:
        applied.append(_mobile_nodes(old.mobile_nodes, new.mobile_nodes))
    others = [name for name in {**old.nodes, **new.nodes} if name not in names]
    left_out: set[str] = set()
    if len(names) == len(old.nodes) or any(name not in new.nodes for name in names):
        left_out.update(name for name in new.nodes if name not in old.nodes)
    nodes = {name: node for name, node in new.nodes.items() if name not in left_out}
    for name in names:
        if name not in new.nodes:
            restart.append(f"nodes.{name}: removing it needs a restart")
            nodes[name] = old.nodes[name]
        else:
            if old.target(name) != new.target(name):
                restart.append(f"nodes.{name}.target: needs a restart")
            nodes[name] = _node(f"nodes.{name}", old.nodes[name], new.nodes[name], left_out, applied, restart)
    for name in others:
        if name in left_out:
            restart.append(f"nodes.{name}: added: needs a restart")
        elif old.nodes.get(name) != new.nodes.get(name):
            what = "added" if name not in old.nodes else "changed" if name in new.nodes else "removed"
            applied.append(f"nodes.{name}: {what}")
    applicable = new.model_copy(update={"realms": realms, "nodes": nodes}).with_targets_of(old)
    return Changes(applicable, tuple(applied), tuple(restart))


def _realm(name: str, old: Realm, new: Realm, applied: list[str], restart: list[str]) -> Realm:
    kept = {}
    for key in Realm.model_fields:
        if getattr(old, key) == getattr(new, key):
            continue
        if key in _REALM_AT_ONCE:
            applied.append(f"realms.{name}.{key}: changed")
        else:
            restart.append(f"realms.{name}.{key}: needs a restart")
            kept[key] = getattr(old, key)
    return new.model_copy(update=kept)


def _mobile_nodes(old: tuple[MobileNode, ...], new: tuple[MobileNode, ...]) -> str:
    before = {one.nai: one for one in old}
    pairs = [(before[one.nai], one) for one in new if one.nai in before]
    kept = [
        key
        for key in ("realm", "mac", "ipv4", "prefix")
        if any(getattr(was, key) != getattr(becomes, key) for was, becomes in pairs)
    ]
    if not kept:
        return "mobile_nodes: changed"
    return f"mobile_nodes: changed; who has a binding keeps the old {', '.join(kept)} until it ends"


def _node(
    where: str,
    old: NodeSettings,
    new: NodeSettings,
    left_out: Collection[str],
    applied: list[str],
    restart: list[str],
) -> NodeSettings:
    kept: dict[str, object] = {"target": old.target}
    for key in _AT_A_RESTART:
        if getattr(old, key) != getattr(new, key):
            restart.append(f"{where}.{key}: needs a restart")
            kept[key] = getattr(old, key)
    if old.peers != new.peers:
        applied.append(f"{where}.peers: changed")
    for role in ("lma", "mag"):
        before, after = getattr(old, role), getattr(new, role)
        if before is None or after is None:
            if before is not after:
                restart.append(f"{where}.{role}: needs a restart")
                kept[role] = before
            continue
        same = {}
        for key in type(after).model_fields:
            if getattr(before, key) == getattr(after, key):
                continue
            if key in _ROLE_AT_A_RESTART or (key == "lma" and after.lma in left_out):
                restart.append(f"{where}.{role}.{key}: needs a restart")
                same[key] = getattr(before, key)
            else:
                applied.append(f"{where}.{role}.{key}: changed")
        kept[role] = after.model_copy(update=same)
    return new.model_copy(update=kept)
