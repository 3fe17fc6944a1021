"""The codec: JSON there and back, and errors that name the path."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Le
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core import parameters
from seedbed.core.errors import RecipeError
from seedbed.core.method import Method, sections


@dataclasses.dataclass(frozen=True)
class Inner:
    share: Annotated[float, Ge(0), Le(1)] = 0.5
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Outer:
    count: Annotated[int, Ge(1)] = 1
    kind: Literal["a", "b"] = "a"
    inner: Inner = dataclasses.field(default_factory=Inner)
    limit: Annotated[int, Ge(0)] | None = None
    pair: tuple[int, float] = (1, 2.0)


outers = st.builds(
    Outer,
    count=st.integers(1, 10**9),
    kind=st.sampled_from(["a", "b"]),
    inner=st.builds(Inner, share=st.floats(0, 1, allow_subnormal=False), names=st.lists(st.text()).map(tuple)),
    limit=st.none() | st.integers(0, 5),
    pair=st.tuples(st.integers(), st.floats(-5, 5, allow_subnormal=False)),
)


@given(outers)
def test_json_round_trip(value: Outer) -> None:
    assert parameters.decode(Outer, parameters.encode(value), "x") == value


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"count": 0}, r"x\.count: 0 must be >= 1"),
        ({"count": True}, r"x\.count: True is not a whole number"),
        ({"count": 1.5}, r"x\.count: 1.5 is not a whole number"),
        ({"kind": "c"}, r"x\.kind: 'c' is not one of 'a', 'b'"),
        ({"inner": {"share": 2}}, r"x\.inner\.share: 2.0 must be <= 1"),
        ({"inner": {"shar": 0.5}}, r"x\.inner\.shar: unknown field. Did you mean 'share'"),
        ({"inner": {"names": ["a", 3]}}, r"x\.inner\.names\[1\]: 3 is not a text"),
        ({"inner": 3}, r"x\.inner: 3 is not a mapping"),
        ({"pair": [1]}, r"x\.pair: 1 values where 2 are needed"),
        ({"limit": -1}, r"x\.limit: -1 must be >= 0"),
    ],
)
def test_errors_name_the_path_and_the_mend(tree: parameters.Json, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parameters.decode(Outer, tree, "x")


def test_a_method_holds_python_callers_to_the_same_bounds() -> None:
    @dataclasses.dataclass(frozen=True)
    class Mine(Method):
        """A method."""

        share: Annotated[float, Ge(0), Le(1)] = 0.5

    globals()["Mine"] = Mine
    assert Mine(1).identity()["parameters"] == {"share": 1}
    with pytest.raises(RecipeError, match=r"test_parameters\.share: 2 must be <= 1"):
        Mine(2)


def test_sections_join_continuation_lines() -> None:
    told = sections("Name: does it.\n\nWhat      One\n          and two.\nSource    Somebody 2020.\n")
    assert told == {"title": "Name: does it.", "What": "One and two.", "Source": "Somebody 2020."}
