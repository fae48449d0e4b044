"""References to secrets, and the masking of their values on every way out.

A value that was read once is known to the whole process from then on, so that no door has to be told which
secrets there are.
"""

from __future__ import annotations

import base64
import json
import logging
import operator
import os
import re
import threading
import traceback
import warnings
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Final, TypeVar, cast
from urllib.parse import quote, quote_plus

from gemmagraph.prompts.errors import GemmagraphError
from gemmagraph.prompts.messages import JSON

T = TypeVar("T")

MIN_LENGTH: Final = 8
"""Characters from which on a value is masked. A shorter one would black out ordinary words."""


_ESCAPE = re.compile("%[0-9A-F]{2}")


class SecretMissing(GemmagraphError):
    """A secret that is referred to has no value here. Read by the operator."""


class ShortSecret(UserWarning):
    """A secret is too short to be masked. Told once of each, by its name."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret stands: in a variable of the environment, or in a file. Never its value."""

    name: str
    env: str | None = None
    file: str | None = None

    @property
    def missing(self) -> str | None:
        """Why it has no value here; None if it has one. The value is not kept."""
        if self.env is not None:
            return None if os.environ.get(self.env) else f"the variable {self.env} is not set"
        path = Path(self.file or "").expanduser()
        return None if path.is_file() and os.access(path, os.R_OK) else f"the file {self.file} cannot be read"

    def reveal(self) -> str:
        """The value, masked from now on wherever it turns up.

        Raises:
            SecretMissing: there is none.
        """
        value = os.environ.get(self.env, "") if self.env is not None else self._read()
        if not value:
            raise SecretMissing(
                f"The secret {self.name!r} has no value: {self.missing or 'it is empty'}.",
                hint=f"Set {self.env}." if self.env is not None else f"Put it into {self.file}.",
            )
        remember(self.name, value)
        return value

    def _read(self) -> str:
        try:
            return Path(self.file or "").expanduser().read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError):
            return ""


class Secrets(Mapping[str, str]):
    """Named secrets. Each is read when it is looked up; what has a value already is masked from now on, for other
    code may read the same variable or file."""

    def __init__(self, secrets: Mapping[str, Secret] | None = None) -> None:
        self.declared = dict(secrets or {})
        for secret in self.declared.values():
            if secret.missing is None:  # a pipe is: it can be read once
                with suppress(SecretMissing):
                    secret.reveal()

    def __getitem__(self, name: str) -> str:
        return self.declared[name].reveal()

    def __contains__(self, name: object) -> bool:
        return name in self.declared  # a Mapping's own would read it

    def __iter__(self) -> Iterator[str]:
        return iter(self.declared)

    def __len__(self) -> int:
        return len(self.declared)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self.declared)})"


class Shown(Mapping[str, str]):
    """The same names, each with `[secret NAME]` as its value: for what people read."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    def __getitem__(self, name: str) -> str:
        if name not in self._secrets:
            raise KeyError(name)
        return replacement(name)

    def __contains__(self, name: object) -> bool:
        return name in self._secrets

    def __iter__(self) -> Iterator[str]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)


def replacement(name: str) -> str:
    """What stands in the place of a secret's value."""
    return f"[secret {name}]"


class _Known:
    """The values that were read in this process, in each form in which they may turn up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, str] = {}
        self.forms: tuple[tuple[str, str], ...] = ()
        """(form, what stands in its place), the longest first."""
        self.sorted: list[str] = []
        """The forms from A to Z: those with the same beginning are neighbours."""
        self.longest = 0

    def add(self, name: str, value: str) -> None:
        with self._lock:
            if self._values.get(value) == name:
                return
            self._values[value] = name
            forms = dict(self.forms) | dict.fromkeys(_forms(value), replacement(name))
            self.longest = max(map(len, forms))
            self.sorted = sorted(forms)
            self.forms = tuple(sorted(forms.items(), key=lambda entry: -len(entry[0])))


_known = _Known()


def remember(name: str, value: str) -> None:
    """From now on `value` is masked wherever it turns up. One of fewer than 8 characters is not, and is warned of."""
    if len(value) >= MIN_LENGTH:
        _known.add(name, value)
    elif name not in _short:
        _short.add(name)
        said = f"The secret {name!r} has fewer than {MIN_LENGTH} characters: it is not masked where it turns up."
        warnings.warn(said, ShortSecret, stacklevel=2)


_short: set[str] = set()
"""Secrets that were warned of."""


def _forms(value: str) -> set[str]:
    """A value as it may be written: as it is, in JSON (also in a text of a JSON text), as Python shows it, in an URL,
    in base64 at each of three offsets. Most values look alike in most of these."""
    data = value.encode("utf-8", "surrogatepass")
    forms = {value, repr(data)[2:-1]}
    for ascii_only in (True, False):
        text = value
        for _ in range(3):
            text = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
            forms.add(text)
    forms |= {repr(form)[1:-1] for form in forms}
    in_urls = {
        quote(value, safe="", errors="replace"),
        quote(value, errors="replace"),
        quote_plus(value, errors="replace"),
    }
    in_urls |= {quote(form) for form in in_urls}  # an address inside an address
    forms |= in_urls | {_ESCAPE.sub(lambda found: found[0].lower(), form) for form in in_urls}
    for before in range(3):
        # What depends on the neighbours is left away: the first characters behind an offset, and the last ones.
        whole = base64.b64encode(bytes(before) + data).decode()
        first = (0, 2, 3)[before]
        last = len(whole.rstrip("=")) - (1 if (before + len(data)) % 3 else 0)
        for form in (whole[first:last], whole[first:last].replace("+", "-").replace("/", "_")):
            forms.add(form)
    return {form for form in forms if len(form) >= MIN_LENGTH}


def known_forms() -> tuple[tuple[str, str], ...]:
    """(what is masked, what stands in its place), the longest first; the same object until another is known."""
    return _known.forms


def mask(text: str) -> str:
    """`text`, each known secret in it replaced by its name."""
    for form, name in _known.forms if len(text) >= MIN_LENGTH else ():
        if form in text:
            text = text.replace(form, name)
    return text


def mask_json(value: JSON) -> JSON:
    """A JSON value, masked in all its texts and keys. The same object, if there is nothing to mask."""
    return mask_all(value)


def mask_all(value: T) -> T:
    """A value masked in all its texts, also those in collections and in the fields of dataclasses. The same object,
    if there is nothing to mask."""
    return cast(T, _masked(value)) if _known.forms else value


def _masked(value: object) -> object:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        entries = {_masked(key): _masked(entry) for key, entry in value.items()}
        return value if entries == value else entries
    if isinstance(value, list | tuple):
        items = [_masked(item) for item in value]
        return value if all(map(operator.is_, items, value)) else tuple(items) if isinstance(value, tuple) else items
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: getattr(value, field.name) for field in fields(value)}
        changes = {name: new for name, old in found.items() if (new := _masked(old)) is not old}
        return replace(value, **changes) if changes else value
    return value


class Masked(Exception):
    """Stands for an error that names a secret: the same words without it, and the traceback as a note."""


def without_secrets(error: BaseException | None) -> BaseException | None:
    """`error` as it is, unless it or its traceback names a secret: then what may be shown of it."""
    if error is None or not _known.forms:
        return error
    trace = "".join(traceback.format_exception(error))
    if all(mask(text) == text for text in (trace, str(error), repr(error))):
        return error
    shown = Masked(f"{type(error).__name__}: {mask(str(error))}")
    shown.add_note(mask(trace))
    return shown


def hide_secrets(error: BaseException) -> None:
    """Takes secrets out of an error that is raised on: out of its words, and what it was raised from."""
    if not _known.forms:
        return
    error.args = mask_all(error.args)
    for name, value in vars(error).items():  # `message`, `hint`, notes
        setattr(error, name, mask_all(value))
    cause = error.__cause__ or error.__context__
    if (shown := without_secrets(cause)) is not cause:
        error.__cause__, error.__context__ = shown, None


def masked_trace(error: BaseException | None) -> str:
    """The traceback of `error` as a log may have it."""
    return mask("".join(traceback.format_exception(error))) if error is not None else ""


class _MaskedLog(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if not _known.forms:
            return True
        with suppress(Exception):  # a message that does not fit its arguments is told by whoever writes it
            said = record.getMessage()
            if (shown := mask(said)) is not said:
                record.msg, record.args = shown, ()
        error = record.exc_info[1] if record.exc_info else None
        if (told := without_secrets(error)) is not None and told is not error:
            record.exc_info = type(told), told, None
        return True


_masked_log = _MaskedLog()


def mask_logs(*names: str) -> None:
    """Takes secrets out of what these loggers of other libraries write, and those below them that there are by now:
    say it once the library is loaded."""
    for name in names:
        below = (known for known in [*logging.root.manager.loggerDict] if known.startswith(f"{name}."))
        for each in (name, *below):
            logging.getLogger(each).addFilter(_masked_log)


class Masker:
    """Masks a text that comes in pieces. What may become a secret is held back until it is known."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown now."""
        text = self._held + piece
        cut = _settled(text) if _known.forms else len(text)
        self._held = text[cut:]
        return mask(text[:cut])

    def close(self) -> str:
        """The rest."""
        held, self._held = self._held, ""
        return mask(held)


def beginning(text: str, most: int) -> str:
    """The first characters of a text that goes on, masked. No secret is torn: nobody would know the rest of one."""
    return Masker().feed(text[:most])[:most]


def ending(text: str, most: int) -> str:
    """The last characters of a text, masked; none of them is the end of a torn secret. Where the text was cut before,
    `longest()` characters more than `most` tell so much."""
    if most <= 0:
        return ""
    seen = text[-most - _known.longest :]
    start = max(0, len(seen) - most)
    while torn := _torn(seen, start):
        start = torn[1]
    return mask(seen[start:])[-most:]


def longest() -> int:
    """Characters that the longest of what is masked has."""
    return _known.longest


def _settled(text: str) -> int:
    """Up to where `text` can be masked now: what follows begins a secret, or may."""
    starts = range(max(0, len(text) - _known.longest), len(text))
    cut = next((start for start in starts if _begins(text[start:])), len(text))
    # A whole secret may end in the beginning of another.
    while torn := _torn(text, cut):
        cut = torn[0]
    return cut


def _begins(text: str) -> bool:
    """Whether `text` is the beginning of a form, and not all of it."""
    forms = _known.sorted
    place = bisect_right(forms, text)
    return place < len(forms) and forms[place].startswith(text)


def _torn(text: str, cut: int) -> tuple[int, int] | None:
    """From where to where a secret stands that a cut there would tear."""
    for form, _ in _known.forms if 0 < cut < len(text) >= MIN_LENGTH else ():
        start = text.find(form, max(0, cut - len(form) + 1), cut + len(form) - 1)
        if start >= 0:
            return start, start + len(form)
    return None
