"""Small forms that several parts of the format share: names, people, places, files."""

from __future__ import annotations

from typing import Final

from gemmagraph.tools.declared.forms import Choice, Text
from gemmagraph.tools.declared.structures import Either, Key, Keys, Listing, MapOf, Plain

TOOL_NAME: Final = Text(
    pattern=r"^[a-z][a-z0-9_]{0,59}$",
    right="a name of lower-case letters, digits and _, a letter first, at most 60",
    refused=("auto", "any", "required", "none"),
)
NAMES: Final = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
NAMED: Final = "a name of letters, digits, _ and -, a letter or _ first, at most 64"
NAME: Final = Text(pattern=NAMES, right=NAMED)
SOME_TEXT: Final = Text(least=1)
TEMPLATE: Final = Text()
"""A text that may hold placeholders; a number is quoted."""
WRITTEN: Final = Text(scalars=True, right="a text or a number")
"""A text that may hold placeholders; a number or a boolean is taken as it is written."""
SECRET: Final = Text(least=1, hidden=True)
USER: Final = Text(
    pattern=r"^(?!group:)[a-z][a-z0-9_-]*:\S+$", right="a user: slack:T1/U024, matrix:@ann:example.org, local:ann"
)
PEOPLE: Final = Listing(
    Text(
        pattern=rf"^(group:{NAMES[1:-1]}|(?!group:)[a-z][a-z0-9_-]*:\S+)$",
        right="a user (slack:T1/U024, local:ann) or a group (group:oncall)",
    ),
    least=1,
    right="a list of users and groups",
)
CHANNEL: Final = Text(pattern=r"^[a-z][a-z0-9_-]*:\S+$", right="a channel: slack:T1/C0AA")
URL: Final = Text(
    pattern=r"^(https?://[^\s]+|(https?://[^\s]*)?\{\{[\s\S]*)$", right="a URL that begins with http:// or https://"
)
"""Placeholders are looked at where it is used."""
VERDICT: Final = Choice("allow", "ask", "deny")
METHOD: Final = Choice("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PIN: Final = Text(pattern=r"^sha256:[0-9a-f]{64}$", right="sha256: and 64 hexadecimal digits")
HEADERS: Final = MapOf(
    WRITTEN, names=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", named="a header's name: letters, digits and -"
)
ENVIRONMENT: Final = MapOf(WRITTEN, names=r"^[A-Za-z_][A-Za-z0-9_]*$", named="the name of a variable")
VALUE: Final = Plain("text", "number", "boolean", "null", right="a text, a number, true, false or null")
VALUES: Final = MapOf(Either(VALUE, Listing(VALUE), right="a text, a number, true, false, null or a list of them"))


def _credential(name: str, first: str, second: str, of: str) -> Keys:
    """Two texts, of which the second is secret."""
    return Keys(
        name,
        {
            first: Key(SECRET, f"The {first} {of}.", required=True),
            second: Key(SECRET, f"The {second} {of}.", required=True),
        },
        hidden=True,
    )


AUTH: Final = Keys(
    "auth",
    {
        "bearer": Key(SECRET, "A token for `Authorization: Bearer`."),
        "basic": Key(
            _credential("basic", "user", "password", "for HTTP basic authentication"),
            "A user and a password for HTTP basic authentication.",
        ),
        "header": Key(
            _credential("auth_header", "name", "value", "of the header"), "A header that carries the credential."
        ),
        "query": Key(
            _credential("auth_query", "name", "value", "of the query parameter"),
            "A query parameter that carries the credential.",
        ),
    },
    says="Credentials; they go to the scheme, host and port of `base_url` only.",
    one_of=("bearer", "basic", "header", "query"),
    hidden=True,
)
