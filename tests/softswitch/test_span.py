"""`span`: a value never needs more bits than it says; and the Python of an expression is its value."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from p4pmip.softswitch.interpreter import runtime
from p4pmip.softswitch.interpreter.expression import fitted, source
from p4pmip.softswitch.ir import Argument, Binary, Choose, Const, Expression, Saturate, Unary, Wrap, span

ARGUMENT_WIDTH = 8


def expressions() -> st.SearchStrategy[Expression]:
    """Expressions over two arguments."""
    leaves = st.integers(-300, 300).map(Const) | st.integers(0, 1).map(lambda one: Argument(one, ARGUMENT_WIDTH, "a"))

    def grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        width = st.integers(1, 12)
        return (
            st.builds(
                Binary,
                st.sampled_from(
                    ["+", "-", "*", "/", "%", "&", "|", "^", "==", "!=", "<", "<=", ">", ">=", "and", "or"]
                ),
                inner,
                inner,
            )
            | st.builds(Binary, st.sampled_from(["<<", ">>"]), inner, st.integers(0, 9).map(Const))
            | st.builds(Unary, st.sampled_from(["~", "-", "not", "bool", "int"]), inner)
            | st.builds(Choose, inner, inner, inner)
            | st.builds(Wrap, inner, width)
            | st.builds(Saturate, inner, width, st.booleans())
        )

    return st.recursive(leaves, grow, max_leaves=8)


NAMES: dict[str, Any] = {name: getattr(runtime, name) for name in dir(runtime) if name[0] != "_"}


@settings(max_examples=300, deadline=None)
@given(expressions(), st.integers(0, 255), st.integers(0, 255))
def test_every_value_fits_its_span(expression: Expression, a: int, b: int) -> None:
    value = int(eval(source(expression), NAMES | {"a": (a, b)}))
    width, signed = span(expression)
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    assert low <= value <= high


@settings(max_examples=200, deadline=None)
@given(expressions(), st.integers(0, 255), st.integers(0, 255), st.integers(1, 16))
def test_fitted_is_the_value_modulo_the_width(expression: Expression, a: int, b: int, width: int) -> None:
    names = NAMES | {"a": (a, b)}
    value = int(eval(source(expression), names))
    assert eval(fitted(expression, width, False), names) == value & (1 << width) - 1
