"""What a small model is told about a wrong call: each message word by word, and never more than 240 characters."""

from __future__ import annotations

from typing import Any

import pytest

from gemmagraph.prompts.checking.arguments import ArgumentChecker, Number
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import ToolSpec

N = Number
WEATHER = ToolSpec(
    "get_weather",
    parameters={
        "properties": {
            "city": {"type": "string", "minLength": 1},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 10},
        },
        "required": ["city"],
    },
)
COUNTRIES = [
    "Argentina",
    "Australia",
    "Austria",
    "Belgium",
    "Brazil",
    "Canada",
    "Chile",
    "China",
    "Denmark",
    "Egypt",
    "Finland",
    "France",
    "Germany",
    "Greece",
    "Hungary",
    "Iceland",
    "India",
    "Ireland",
    "Italy",
    "Japan",
]
FLAG = ToolSpec("flag", parameters={"properties": {"country": {"enum": COUNTRIES}}, "required": ["country"]})
NOW = ToolSpec("now")
LONG = "x" * 10_000

MESSAGES: dict[str, tuple[ToolSpec, dict[str, Any], str, str]] = {
    "not in the enum": (
        WEATHER,
        {"city": "Paris", "unit": "kelvin"},
        'get_weather: "unit" was "kelvin", expected one of "celsius", "fahrenheit".',
        'get_weather(city="Paris", unit="celsius")',
    ),
    "not in the enum by its case": (
        WEATHER,
        {"city": "Paris", "unit": "Celsius"},
        'get_weather: "unit" was "Celsius", expected one of "celsius", "fahrenheit".',
        'get_weather(city="Paris", unit="celsius")',
    ),
    "missing": (WEATHER, {}, 'get_weather: "city" is missing, expected a string.', 'get_weather(city="Paris")'),
    "null": (
        WEATHER,
        {"city": None},
        'get_weather: "city" was null, expected a string.',
        'get_weather(city="Paris")',
    ),
    "true for a string": (
        WEATHER,
        {"city": True},
        'get_weather: "city" was true, expected a string.',
        'get_weather(city="Paris")',
    ),
    "empty": (
        WEATHER,
        {"city": ""},
        'get_weather: "city" was "", expected at least 1 character.',
        'get_weather(city="Paris")',
    ),
    "a list for a string": (
        WEATHER,
        {"city": ["Paris", "Rome"]},
        'get_weather: "city" was ["Paris", "Rome"], expected a string.',
        'get_weather(city="Paris")',
    ),
    "misspelt": (
        WEATHER,
        {"citty": "Paris"},
        'get_weather: there is no argument "citty", did you mean "city"?',
        'get_weather(city="Paris")',
    ),
    "misspelt by its case": (
        WEATHER,
        {"City": "Paris"},
        'get_weather: there is no argument "City", did you mean "city"?',
        'get_weather(city="Paris")',
    ),
    "misspelt beside a right one": (
        WEATHER,
        {"city": "Paris", "day": N("3")},
        'get_weather: there is no argument "day", did you mean "days"?',
        'get_weather(city="Paris", days=5)',
    ),
    "undeclared": (
        WEATHER,
        {"city": "Paris", "verbose": True},
        'get_weather: there is no argument "verbose", only "city", "unit", "days".',
        'get_weather(city="Paris")',
    ),
    "undeclared and missing": (
        WEATHER,
        {"location": "Paris"},
        (
            'get_weather: "city" is missing, expected a string; there is no argument "location", only'
            ' "city", "unit", "days".'
        ),
        'get_weather(city="Paris")',
    ),
    "no arguments declared": (NOW, {"zone": "UTC"}, 'now: there is no argument "zone", it takes none.', "now()"),
    "above the maximum": (
        WEATHER,
        {"city": "Paris", "days": N("11")},
        'get_weather: "days" was 11, expected an integer from 1 to 10.',
        'get_weather(city="Paris", days=5)',
    ),
    "no integer": (
        WEATHER,
        {"city": "Paris", "days": N("1.5")},
        'get_weather: "days" was 1.5, expected an integer from 1 to 10.',
        'get_weather(city="Paris", days=5)',
    ),
    "no number at all": (
        WEATHER,
        {"city": "Paris", "days": "three"},
        'get_weather: "days" was "three", expected an integer from 1 to 10.',
        'get_weather(city="Paris", days=5)',
    ),
    "a number too big": (
        WEATHER,
        {"city": "Paris", "days": N("1e999")},
        'get_weather: "days" was 1e999, expected a number below 1e308.',
        'get_weather(city="Paris", days=5)',
    ),
    "two faults": (
        WEATHER,
        {"city": None, "unit": "kelvin"},
        (
            'get_weather: "city" was null, expected a string; "unit" was "kelvin", expected one of '
            '"celsius", "fahrenheit".'
        ),
        'get_weather(city="Paris", unit="celsius")',
    ),
    "three faults": (
        WEATHER,
        {"city": None, "unit": "kelvin", "days": "x"},
        (
            'get_weather: "city" was null, expected a string; "unit" was "kelvin", expected one of '
            '"celsius", "fahrenheit".'
        ),
        'get_weather(city="Paris", unit="celsius")',
    ),
    "a long value": (
        WEATHER,
        {"city": "Paris", "unit": LONG},
        (
            'get_weather: "unit" was "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…xxxxxxxxxxxxxxxxxx", '
            'expected one of "celsius", "fahrenheit".'
        ),
        'get_weather(city="Paris", unit="celsius")',
    ),
    "two long values": (
        WEATHER,
        {"city": [LONG], "unit": LONG},
        (
            'get_weather: "city" was ["xxxxxxxxxxxxxx…xxxxx"], expected a string; "unit" was '
            '"xxxxxxxxxxxxxxx…xxxxxx", expected one of "celsius", "fahrenheit".'
        ),
        'get_weather(city="Paris", unit="celsius")',
    ),
    "a long name": (
        WEATHER,
        {"city": "Paris", LONG: 1},
        (
            "get_weather: there is no argument "
            '"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…xxxxxxxxxxxxxxxxxx", only "city", "unit", '
            '"days".'
        ),
        'get_weather(city="Paris")',
    ),
    "control characters": (
        WEATHER,
        {"city": "Paris", "unit": "a\nb\x1b[31m\ud800"},
        'get_weather: "unit" was "a\\nb\\u001b[31m\\ud800", expected one of "celsius", "fahrenheit".',
        'get_weather(city="Paris", unit="celsius")',
    ),
    "a long enum, near": (
        FLAG,
        {"country": "Germny"},
        (
            'flag: "country" was "Germny", expected one of "Germany", "Argentina", "Australia", '
            '"Austria", "Belgium", "Brazil", "Canada", "Chile", "China", "Denmark" and 10 more.'
        ),
        'flag(country="Argentina")',
    ),
    "a long enum, far": (
        FLAG,
        {"country": "Zzz"},
        (
            'flag: "country" was "Zzz", expected one of "Argentina", "Australia", "Austria", '
            '"Belgium", "Brazil", "Canada", "Chile", "China", "Denmark", "Egypt" and 10 more.'
        ),
        'flag(country="Argentina")',
    ),
    "a long enum, other case": (
        FLAG,
        {"country": "japan"},
        (
            'flag: "country" was "japan", expected one of "Japan", "Argentina", "Australia", '
            '"Austria", "Belgium", "Brazil", "Canada", "Chile", "China", "Denmark" and 10 more.'
        ),
        'flag(country="Argentina")',
    ),
    "a long enum, no text": (
        FLAG,
        {"country": N("7")},
        (
            'flag: "country" was "7", expected one of "Argentina", "Australia", "Austria", "Belgium",'
            ' "Brazil", "Canada", "Chile", "China", "Denmark", "Egypt" and 10 more.'
        ),
        'flag(country="Argentina")',
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_model_is_told_what_was_wrong_and_what_is_right(name: str) -> None:
    spec, arguments, wrong, right = MESSAGES[name]
    with pytest.raises(InvalidArguments) as refusal:
        ArgumentChecker(spec).check(arguments)
    assert refusal.value.message == f"{wrong} Example: {right}"
    assert len(refusal.value.message) <= 240
