"""What the model reads of a docstring, in each of the three styles."""

from typing import Annotated, Any

import pytest
from pydantic import Field

from gemmagraph.tools import ToolContext, tool
from gemmagraph.tools.docstrings import parse_docstring

NAMES = ["city", "days", "unit"]

# id: (docstring, description, texts of the parameters)
DOCSTRINGS: dict[str, tuple[str | None, str, dict[str, str]]] = {
    "none": (None, "", {}),
    "empty": ("", "", {}),
    "summary": ("Weather of a city.", "Weather of a city.", {}),
    "body": (
        "Weather of a city.\n\n    Looks it up.\n    - today\n    - tomorrow\n",
        "Weather of a city.\n\nLooks it up.\n- today\n- tomorrow",
        {},
    ),
    "google": (
        """Weather of a city.

        From the nearest station.

        Args:
            city: Which city.
            days (int): How many days
                ahead.
            unit (Literal["C", "F"], optional): The scale: C or F.

        Returns:
            A text
            of two lines.

        Raises:
            ValueError: If there is none.
        """,
        "Weather of a city.\n\nFrom the nearest station.",
        {"city": "Which city.", "days": "How many days ahead.", "unit": "The scale: C or F."},
    ),
    "google-text-on-next-line": (
        "W.\n\nArgs:\n    city:\n        Which city.\n\n        Any.\n    days: How many.",
        "W.",
        {"city": "Which city. Any.", "days": "How many."},
    ),
    "google-sloppy-continuation": (
        "W.\n\nArgs:\n    city: Which city,\n    as people call it.\n    days: How many.",
        "W.",
        {"city": "Which city, as people call it.", "days": "How many."},
    ),
    "google-unknown-name": (
        "W.\n\nArguments:\n    context: Who asks.\n    city: Which city.\n    **more: The rest.",
        "W.",
        {"city": "Which city."},
    ),
    "google-nested-type": (
        "W.\n\nParameters:\n    city (tuple[str, Callable[[int], str]], optional): Which.",
        "W.",
        {"city": "Which."},
    ),
    "google-url-in-text": (
        "W.\n\nArgs:\n    city: As in\n        https://example.org: the list.",
        "W.",
        {"city": "As in https://example.org: the list."},
    ),
    "google-keyword-args": (
        "W.\n\nArgs:\n  city: Which.\n\nKeyword Args:\n  unit: C or F.\n",
        "W.",
        {"city": "Which.", "unit": "C or F."},
    ),
    "google-returns-in-one-line": ("Weather.\n\nReturns: a text.\nCheap.", "Weather.\n\nCheap.", {}),
    "google-text-after-section": (
        "W.\n\nArgs:\n    city: Which.\n\nAsk for one at a time.",
        "W.\n\nAsk for one at a time.",
        {"city": "Which."},
    ),
    "google-note-kept-example-dropped": (
        "W.\n\nNote:\n    Slow.\n\nExample:\n    >>> weather('Rome')\n    'sunny'\n\nYields:\n    Words.",
        "W.\n\nNote:\n    Slow.",
        {},
    ),
    "only-returns": ("Returns:\n    The weather.", "", {}),
    "only-args": (
        "Args:\n        city: Which.\n        days: How many.",
        "",
        {"city": "Which.", "days": "How many."},
    ),
    "returns-as-summary": ("Returns the weather.", "Returns the weather.", {}),
    "numpy": (
        """Weather of a city.

        From the nearest station.

        Parameters
        ----------
        city : str
            Which city.
        days, unit : int, optional
            Said for
            both.

        Returns
        -------
        str
            A text.

        Raises
        ------
        ValueError
            If there is none.
        """,
        "Weather of a city.\n\nFrom the nearest station.",
        {"city": "Which city.", "days": "Said for both.", "unit": "Said for both."},
    ),
    "numpy-without-types": (
        "W.\n\nParameters\n----------\ncity\n    Which.\ndays\n    How many.\n\n    At most 9.",
        "W.",
        {"city": "Which.", "days": "How many. At most 9."},
    ),
    "numpy-other-and-notes": (
        "W.\n\nOther Parameters\n----------------\nunit : str\n    C or F.\n\nNotes\n-----\nSlow.\n\n"
        "See Also\n--------\nclimate : Something else.",
        "W.\n\nNotes:\nSlow.",
        {"unit": "C or F."},
    ),
    "numpy-unknown-section": (
        "W.\n\nParameters\n----------\ncity : str\n    Which.\n\nMethod\n------\nAsks a station.",
        "W.\n\nMethod:\nAsks a station.",
        {"city": "Which."},
    ),
    "numpy-star": ("W.\n\nParameters\n----------\n*city : str\n    Which.", "W.", {"city": "Which."}),
    "sphinx": (
        """Weather of a city.

        :param city: Which city.
        :param int days: How many days
            ahead.
        :type days: int
        :param unit: The scale: C or F.
        :returns: A text
            of two lines.
        :rtype: str
        :raises ValueError: If there is none.
        """,
        "Weather of a city.",
        {"city": "Which city.", "days": "How many days ahead.", "unit": "The scale: C or F."},
    ),
    "sphinx-other-words": (
        "W.\n\n:arg city: Which.\n:keyword dict[str, int] unit: C or F.\n:argument days:\n    How many.",
        "W.",
        {"city": "Which.", "unit": "C or F.", "days": "How many."},
    ),
    "sphinx-role-in-text-stays": (
        "See :func:`climate`.\n\n:param city: One of :data:`CITIES`: all.",
        "See :func:`climate`.",
        {"city": "One of :data:`CITIES`: all."},
    ),
    "sphinx-text-after": ("W.\n\n:param city: Which.\n\nSlow.", "W.\n\nSlow.", {"city": "Which."}),
    "mixed": (
        "W.\n\n:param city: Which.\n\nArgs:\n    days: How many.\n",
        "W.",
        {"city": "Which.", "days": "How many."},
    ),
    "parameter-without-text": ("W.\n\nArgs:\n    city:\n    days: How many.", "W.", {"days": "How many."}),
    "windows-lines": ("W.\r\n\r\nArgs:\r\n    city: Which.\r\n", "W.", {"city": "Which."}),
    "tabs": ("W.\n\n\tArgs:\n\t\tcity: Which.\n\t\t\tAny.\n", "W.", {"city": "Which. Any."}),
    "headings-in-capitals": ("W.\n\nARGS:\n    city: Which.\n\nRETURNS:\n    x", "W.", {"city": "Which."}),
}


@pytest.mark.parametrize(("text", "description", "parameters"), DOCSTRINGS.values(), ids=DOCSTRINGS)
def test_docstring_is_split_into_description_and_parameters(
    text: str | None, description: str, parameters: dict[str, str]
) -> None:
    found = parse_docstring(text, NAMES)

    assert (found.description, found.parameters) == (description, parameters)


def google(city: str, days: int = 1) -> None:
    """Weather.

    Args:
        city: Which city.
        days: How many.
    """


def numpy(city: str, days: int = 1) -> None:
    """Weather.

    Parameters
    ----------
    city : str
        Which city.
    days : int
        How many.
    """


def sphinx(city: str, days: int = 1) -> None:
    """Weather.

    :param city: Which city.
    :param days: How many.
    """


@pytest.mark.parametrize("function", [google, numpy, sphinx])
def test_every_style_declares_the_same(function: Any) -> None:
    made = tool(function)

    assert made.description == "Weather."
    assert made.spec.parameters["properties"] == {
        "city": {"type": "string", "description": "Which city."},
        "days": {"type": "integer", "description": "How many.", "default": 1},
    }


def test_description_in_the_hint_goes_before_the_docstring() -> None:
    def probe(
        a: Annotated[int, "From the hint."],
        b: Annotated[int, Field(description="From the field.")],
        c: Annotated[int, Field(ge=1)],
    ) -> None:
        """Probe.

        Args:
            a: From the docstring.
            b: From the docstring.
            c: From the docstring.
        """

    found = tool(probe).spec.parameters["properties"]

    assert [found[name]["description"] for name in "abc"] == [
        "From the hint.",
        "From the field.",
        "From the docstring.",
    ]


def test_hidden_parameter_is_not_mixed_into_the_one_before() -> None:
    def probe(city: str, context: ToolContext) -> None:
        """Probe.

        Args:
            city: Which city.
            context: Who asks.
        """

    assert "Who asks" not in repr(tool(probe).spec)


def test_long_docstring_is_read_in_linear_time() -> None:
    text = "W.\n\nArgs:\n    city: " + "word (" * 50_000 + "\n" + "    x" * 50_000

    assert parse_docstring(text, NAMES).parameters["city"].startswith("word (")
