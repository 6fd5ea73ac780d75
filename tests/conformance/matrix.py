"""The conformance table and the markers of the suite, read and counted: `python tests/conformance/matrix.py`."""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "conformance.md"
_ROW = re.compile(r"^\| (?P<id>[A-Z][\w.-]+-\d+) \| (?P<section>[^|]+) \| (?P<asks>.+) \| (?P<tests>[^|]*) \|$")


def rows(table: Path = TABLE) -> dict[str, tuple[str, str, set[str]]]:
    """The rows of the table: id to section, what it asks, and the tests it names."""
    found: dict[str, tuple[str, str, set[str]]] = {}
    for line in table.read_text(encoding="utf-8").splitlines():
        match = _ROW.match(line)
        if match is not None:
            assert match["id"] not in found, f"{match['id']} stands twice"
            found[match["id"]] = (match["section"], match["asks"], set(re.findall(r"`([^`]+)`", match["tests"])))
    return found


def marked(tests: Path = ROOT / "tests") -> dict[str, set[str]]:
    """The tests that carry `@pytest.mark.requirement`, as `file::name` below `tests`, by id."""
    found: dict[str, set[str]] = {}
    for path in sorted(tests.rglob("test_*.py")):
        place = path.relative_to(tests).as_posix()
        for name, node in _named(ast.parse(path.read_text(encoding="utf-8"))):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.requirement":
                    for argument in decorator.args:
                        assert isinstance(argument, ast.Constant), f"{place}: {name}: an id is a plain string"
                        found.setdefault(str(argument.value), set()).add(f"{place}::{name}")
    return found


_Decorated = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _named(tree: ast.Module) -> list[tuple[str, _Decorated]]:
    found: list[tuple[str, _Decorated]] = []
    for node in tree.body:
        if isinstance(node, _Decorated):
            found.append((node.name, node))
        if isinstance(node, ast.ClassDef):
            found += [(f"{node.name}::{one.name}", one) for one in node.body if isinstance(one, _Decorated)]
    return found


def main() -> int:
    """Print how many statements of each text have how many tests."""
    table, tests = rows(), marked()
    statements: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    for identifier, (section, _, _) in table.items():
        text = section.split(" §")[0]
        statements[text] += 1
        shown[text] += len(tests.get(identifier, ()))
    for text, count in statements.items():
        print(f"{text:10} {count:4} statements, shown {shown[text]:4} times")
    bare = [identifier for identifier in table if identifier not in tests]
    strays = [identifier for identifier in tests if identifier not in table]
    print(f"{'all':10} {len(table):4} statements; without a test: {len(bare)}; tests without a row: {len(strays)}")
    return 1 if bare or strays else 0


if __name__ == "__main__":
    sys.exit(main())
