"""`p4pmip p4info`: the tables, actions and counters of a program."""

import argparse
from pathlib import Path

from p4pmip.cli import _targets
from p4pmip.errors import P4pmipError
from p4pmip.p4runtime.client import Client
from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.p4runtime.schema import Schema, Table, Variable
from p4pmip.p4runtime.view import Json


def register(subparsers: "_targets.Subparsers[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "p4info",
        help="show the tables, actions and counters of a program",
        description="Show the P4Info of what a target runs, of a file, or of the packaged program, and whether it is"
        " p4pmip's.",
    )
    _targets.add_target(parser, count="?")
    parser.add_argument("--p4info", metavar="F", type=Path, help="show this file instead of a target's")
    _targets.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the P4Info."""
    if args.target is not None and args.p4info is not None:
        raise P4pmipError("p4info", args.target, "give TARGET or --p4info, not both")
    if args.p4info is not None:
        return _show(args, Pipeline.load(args.p4info))
    if args.target is None:
        return _show(args, Pipeline.packaged())
    return _targets.finish(_run(args))


async def _run(args: argparse.Namespace) -> int:
    async with Client(_targets.target_of(args)) as client:
        pipeline = await _targets.running_pipeline(client)
    return _show(args, pipeline)


def _show(args: argparse.Namespace, pipeline: Pipeline) -> int:
    ours = Pipeline.packaged()
    lacking = pipeline.foreign(ours, ours.schema.tables)
    if args.json:
        _targets.print_json(_json(pipeline.schema) | {"ours": not lacking, "differences": lacking})
        return 0
    schema = pipeline.schema
    print(f"{schema.name or '(no name)'} {schema.version} ({schema.arch})")
    for table in schema.tables.values():
        notes = [f"size {table.size}"]
        notes += ["const"] if table.const else []
        notes += ["counted"] if table.counted else []
        notes += ["metered"] if table.metered else []
        print(f"table {table.name}  [{', '.join(notes)}]")
        for field in table.fields.values():
            print(f"  {field.name}: {field.kind.value} {_type(field)}")
        for action in table.actions.values():
            params = ", ".join(f"{_type(param)} {param.name}" for param in action.params.values())
            default = "" if action.name in table.entry_actions else "  (default only)"
            print(f"  -> {action.name}({params}){default}")
    for counter in schema.counters.values():
        print(f"counter {counter.name}[{counter.size}]")
    for enumeration in schema.enumerations.values():
        members = ", ".join(f"{name}={value}" for value, name in enumeration.names.items())
        print(f"enum {enumeration.name} {{{members}}}")
    for header, fields in (("packet_in", schema.packet_in), ("packet_out", schema.packet_out)):
        if fields:
            print(f"{header}({', '.join(f'{_type(field)} {field.name}' for field in fields.values())})")
    print("p4pmip's program" if not lacking else f"not p4pmip's program: {'; '.join(lacking)}")
    return 0


def _type(variable: Variable) -> str:
    if variable.enumeration is not None:
        return variable.enumeration.name
    return f"bit<{variable.width}>" if variable.width else "string"


def _json(schema: Schema) -> Json:
    return {
        "name": schema.name,
        "version": schema.version,
        "arch": schema.arch,
        "tables": [_table_json(table) for table in schema.tables.values()],
        "counters": [{"counter": c.name, "id": c.id, "size": c.size} for c in schema.counters.values()],
        "enumerations": [{"name": e.name, "members": e.values} for e in schema.enumerations.values()],
        "packet_in": [_variable_json(field) for field in schema.packet_in.values()],
        "packet_out": [_variable_json(field) for field in schema.packet_out.values()],
    }


def _table_json(table: Table) -> Json:
    return {
        "table": table.name,
        "id": table.id,
        "size": table.size,
        "const": table.const,
        "counted": table.counted,
        "fields": [_variable_json(field) | {"match": field.kind.value} for field in table.fields.values()],
        "actions": [
            {"action": a.name, "id": a.id, "params": [_variable_json(param) for param in a.params.values()]}
            for a in table.actions.values()
        ],
    }


def _variable_json(variable: Variable) -> Json:
    return {"name": variable.name, "id": variable.id, "width": variable.width, "format": variable.format.value}
