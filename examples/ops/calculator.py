"""A calculator and a unit converter, as tools.

    gemmagraph run --tools examples/ops/calculator.py "how many km are 26.2 miles?"

Models reckon badly and are sure of the result. `eval` would be shorter, and would run anything that a model
can be talked into writing; here only what is listed exists, and no number grows without bound.
"""

import ast
import difflib
import math
import operator
from collections.abc import Callable

from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.tool import tool

__all__ = ["calculate", "convert_units"]

MAX_BITS = 4096
"""The size of the integers that `calculate` works with."""


@tool(read_only=True)
def calculate(expression: str) -> str:
    """Calculate a number.

    Args:
        expression: Numbers with + - * / // % ** and brackets; sqrt, abs, round, min, max, log, log10, exp,
            sin, cos, tan, pi, e. For example "(3 + 4) * 2.5". Write 15 % of 80 as "0.15 * 80".
    """
    try:
        if len(expression) > 500:
            raise ToolError("The expression is longer than 500 characters.")
        value = _value(ast.parse(expression.strip().replace("^", "**"), mode="eval").body)
    except SyntaxError as error:
        raise ToolError(f"{expression!r} is not an expression: {error.msg}.") from error
    except (TypeError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ToolError(f"Cannot calculate {expression!r}: {error}.") from error
    return f"{expression} = {value if isinstance(value, int) else format(value, '.12g')}"


@tool(read_only=True)
def convert_units(value: float, from_unit: str, to_unit: str) -> str:
    """Convert a value from one unit to another: length, mass, temperature, data, time, speed, volume, area.

    Args:
        value: The number to convert.
        from_unit: The unit it has, for example "miles".
        to_unit: The unit to convert to, for example "km".
    """
    (kind, factor, zero), (other_kind, other_factor, other_zero) = _unit(from_unit), _unit(to_unit)
    if kind != other_kind:
        raise ToolError(f"{from_unit} is a unit of {kind}, but {to_unit} one of {other_kind}.")
    return f"{value:.10g} {from_unit} = {(value * factor + zero - other_zero) / other_factor:.10g} {to_unit}"


def _power(base: float, exponent: float) -> float:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > MAX_BITS:
        raise ToolError("The result is too big.")
    result: float = base**exponent
    return result


_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    **{name: getattr(math, name) for name in ("sqrt", "log", "log10", "exp", "sin", "cos", "tan")},
    **{function.__name__: function for function in (abs, round, min, max)},
}


def _value(node: ast.AST) -> float:
    """The value of a part of an expression. What is not listed here does not exist."""
    match node:
        case ast.Constant(value=int() | float() as result) if not isinstance(result, bool):
            pass
        case ast.Name(id="pi" | "e" as name):
            result = getattr(math, name)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            result = _OPERATORS[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            result = _OPERATORS[type(op)](_value(left), _value(right))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            result = _FUNCTIONS[name](*map(_value, args))
        case _:
            raise ToolError(f"{ast.unparse(node)[:80]!r} is not understood: use numbers and + - * / // % **.")
    small = result.bit_length() <= MAX_BITS if isinstance(result, int) else math.isfinite(result)
    if not small:
        raise ToolError("The result is too big, or no number.")
    return result


def _unit(name: str) -> tuple[str, float, float]:
    """Kind of a unit, its size, and where its zero lies."""
    plain = name.strip().lower().removeprefix("°")
    for spelling in (plain, plain.removesuffix("s"), plain.removesuffix("es")):
        known = _OTHER_NAMES.get(spelling, spelling)
        for kind, sizes in _UNITS.items():
            if known in sizes:
                return kind, sizes[known], _ZEROS.get(known, 0)
    every = [*_OTHER_NAMES, *(unit for sizes in _UNITS.values() for unit in sizes)]
    near = difflib.get_close_matches(plain, every, n=3) or ["km", "kg", "celsius", "gb", "hour", "liter"]
    raise ToolError(f"There is no unit {name!r}. There is, for example: {', '.join(near)}.")


# Of each unit its size in the first one of its kind.
_UNITS: dict[str, dict[str, float]] = {
    "length": {
        "meter": 1,
        "mm": 1e-3,
        "cm": 1e-2,
        "km": 1e3,
        "inch": 0.0254,
        "foot": 0.3048,
        "mile": 1609.344,
    },
    "mass": {"kg": 1, "mg": 1e-6, "gram": 1e-3, "ton": 1e3, "pound": 0.45359237, "ounce": 0.45359237 / 16},
    "temperature": {"kelvin": 1, "celsius": 1, "fahrenheit": 5 / 9},
    "data": {"byte": 1, "bit": 1 / 8, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12}
    | {"mbit": 125e3, "gbit": 125e6, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40},
    "time": {"second": 1, "ms": 1e-3, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400},
    "speed": {"m/s": 1, "km/h": 1 / 3.6, "mph": 0.44704, "knot": 1852 / 3600},
    "volume": {
        "liter": 1,
        "ml": 1e-3,
        "m3": 1e3,
        "gallon": 3.785411784,
        "pint": 0.473176473,
        "cup": 0.2365882365,
    },
    "area": {"m2": 1, "km2": 1e6, "hectare": 1e4, "acre": 4046.8564224},
}
_ZEROS = {"celsius": 273.15, "fahrenheit": 459.67 * 5 / 9}
_OTHER_NAMES = {
    other: unit
    for unit, others in {
        "meter": "m metre",
        "km": "kilometer kilometre",
        "cm": "centimeter centimetre",
        "inch": "in",
        "foot": "ft feet",
        "mile": "mi",
        "kg": "kilogram",
        "gram": "g",
        "pound": "lb",
        "ounce": "oz",
        "kelvin": "k",
        "celsius": "c",
        "fahrenheit": "f",
        "byte": "b",
        "kb": "kilobyte",
        "mb": "megabyte",
        "gb": "gigabyte",
        "tb": "terabyte",
        "second": "s sec",
        "minute": "min",
        "hour": "h hr",
        "day": "d",
        "km/h": "kmh kph",
        "liter": "l litre",
        "hectare": "ha",
    }.items()
    for other in others.split()
}
