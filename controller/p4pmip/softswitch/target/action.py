"""Actions of P4Runtime messages and of entries, both ways (P4Runtime §9.1.2, §9.2)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from p4pmip.softswitch.target.bytestring import decode, encode
from p4pmip.softswitch.target.refusal import invalid
from p4pmip.softswitch.target.schema import ActionRef
from p4pmip.softswitch.target.stubs import p4runtime

if TYPE_CHECKING:
    from collections.abc import Iterable


def decode_action(
    place: str, actions: Mapping[int, ActionRef], given: "p4runtime.Action"
) -> tuple[ActionRef, tuple[int, ...]]:
    """The action and its arguments, in the order of the program's parameters."""
    ref = actions.get(given.action_id)
    if ref is None:
        choices = [f"{one.id} {one.name}" for one in actions.values()]
        raise invalid(f"{place}: action_id", given.action_id, "is no action of it", choices)
    arguments: list[int] = []
    if len(given.params) == len(ref.parameters):
        # Mostly they come in the order of the program, and fit.
        for param, (one, _, width) in zip(given.params, ref.parameters, strict=True):
            value = param.value
            number = int.from_bytes(value, "big")
            if param.param_id != one or not value or number >> width:
                break
            arguments.append(number)
        else:
            return ref, tuple(arguments)
    return ref, _in_order(place, ref, given)


def _in_order(place: str, ref: ActionRef, given: "p4runtime.Action") -> tuple[int, ...]:
    """The arguments, each of which must be there once."""
    arguments: list[int | None] = [None] * len(ref.parameters)
    for param in given.params:
        position = ref.positions.get(param.param_id)
        if position is None:
            choices = [f"{one} {name}" for one, name, _ in ref.parameters]
            raise invalid(f"{place}: {ref.name}: param_id", param.param_id, "no such parameter", choices)
        if arguments[position] is not None:
            raise invalid(f"{place}: {ref.name}: param_id", param.param_id, "is given twice")
        _, name, width = ref.parameters[position]
        arguments[position] = decode(param.value, width, f"{place}: {ref.name}: {name}")
    if None in arguments:
        missing = ref.parameters[arguments.index(None)]
        raise invalid(f"{place}: {ref.name}", missing[1], "a parameter is missing", _names(ref.parameters))
    return tuple(one for one in arguments if one is not None)


def _names(parameters: "Iterable[tuple[int, str, int]]") -> list[str]:
    return [name for _, name, _ in parameters]


def encode_action(ref: ActionRef, arguments: tuple[int, ...], into: "p4runtime.Action") -> None:
    """The action with its parameters."""
    into.action_id = ref.id
    for (one, _, _), value in zip(ref.parameters, arguments, strict=True):
        into.params.add(param_id=one, value=encode(value))
