"""The configuration reference, generated from the schema."""

from collections.abc import Iterator
from typing import Any

from p4pmip.node.schema import Config

BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"


def reference() -> str:
    """Markdown: a table for each section, in the order of the file."""
    schema = Config.model_json_schema()
    lines = list(_section("(top of the file)", schema))
    done: set[str] = set()
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop(0)
        if name not in done:
            done.add(name)
            section = schema["$defs"][name]
            lines += _section(name, section)
            waiting += _references(section)
    return "\n".join(lines) + "\n"


def _section(name: str, section: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    if "description" in section:
        yield section["description"].splitlines()[0]
        yield ""
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for key, field in section["properties"].items():
        default = "required" if key in section.get("required", ()) else _default(field.get("default"))
        yield f"| `{key}` | {kind(field)} | {default} | {field.get('description', '')} |"
    yield ""


def _default(value: object) -> str:
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, dict):
        return ", ".join(f"`{key}` {_default(one)}" for key, one in value.items())
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


_FORMATS = {
    "ipv4": "IPv4 address",
    "ipv6": "IPv6 address",
    "ipv4network": "IPv4 network (host bits 0)",
    "ipv6network": "IPv6 network (host bits 0)",
}


def kind(field: dict[str, Any]) -> str:
    """What a key may be, by its JSON schema."""
    if "$ref" in field:
        return f"section {field['$ref'].rsplit('/', 1)[1]}"
    if "enum" in field:
        return " or ".join(f"`{choice}`" for choice in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(kind(one) for one in field["anyOf"] if one.get("type") != "null"))
    match field.get("type"):
        case "array":
            return f"list of {kind(field.get('items', {}))}"
        case "object":
            return f"table of {kind(field.get('additionalProperties', {}))}"
        case named:
            what = str(field.get("format") or named)
            if "maxLength" in field:
                return f"{what} of length {field.get('minLength', 0)}..{field['maxLength']}"
            return f"{_FORMATS.get(what, what)} {_range(field)}".rstrip()


def _range(field: dict[str, Any]) -> str:
    if "minimum" in field:
        return f"{field['minimum']}..{field.get('maximum', '')}"
    words = (("exclusiveMinimum", "above"), ("exclusiveMaximum", "below"))
    return " and ".join(f"{word} {field[key]}" for key, word in words if key in field)


def _references(node: Any) -> Iterator[str]:
    """The sections that a section names, in order."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value.rsplit("/", 1)[1]
            elif key != "$defs":
                yield from _references(value)
    elif isinstance(node, list):
        for one in node:
            yield from _references(one)
