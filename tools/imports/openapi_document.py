"""An OpenAPI document as it is read, and how references in it are followed.

Somebody else wrote it: it may refer to files beside it, and to nothing else. A document from a URL is pinned, and a
pinned document stands alone: what it refers to elsewhere would not be what was pinned.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import Fault, ToolDefinitionError, ToolError
from gemmagraph.tools.runtime import in_thread

if TYPE_CHECKING:
    from gemmagraph.tools.guards.transport import Resolver

MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_STEPS: Final = 50
"""References that lead to references."""
_SECONDS: Final = 30.0
_REMOTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_INSIDE: Final = "file:///inside/"
"""What a document's folder is called in URIs; a reference that climbs out of it no longer begins so."""


@dataclass(frozen=True, slots=True)
class Part:
    """A value in a document, with what references in it are relative to."""

    value: JSON
    resolver: Any = field(repr=False)

    def __getitem__(self, key: str | int) -> Part:
        return Part(self.value[key], self.resolver)

    def get(self, key: str) -> Part:
        """What stands under a key, references followed; a part of None where nothing does."""
        value = self.value.get(key) if isinstance(self.value, Mapping) else None
        return Part(value, self.resolver).followed()

    def entries(self, key: str) -> Iterator[tuple[str, Part]]:
        """The mapping under a key, with the references that stand there as they are."""
        inner = self.get(key)
        for name, value in inner.value.items() if isinstance(inner.value, Mapping) else ():
            yield str(name), Part(value, inner.resolver)

    def items(self, key: str) -> Iterator[Part]:
        """The list under a key, each reference in it followed."""
        inner = self.get(key)
        for value in inner.value if isinstance(inner.value, list) else ():
            yield Part(value, inner.resolver).followed()

    def text(self, key: str) -> str:
        """A text under a key; empty where there is none."""
        value = self.value.get(key) if isinstance(self.value, Mapping) else None
        return value if isinstance(value, str) else ""

    def followed(self) -> Part:
        """What stands at the end of the references that begin here.

        Raises:
            ToolDefinitionError: they lead nowhere, in a circle or out of the document's folder.
        """
        part, reference = self, ""
        for _ in range(_MOST_STEPS):
            reference = reference_of(part.value)
            if not reference:
                return part
            part = part.step()
        raise ToolDefinitionError(f"The reference {reference[:200]!r} leads in a circle.")

    def step(self) -> Part:
        """What the reference here leads to, which may be one more.

        Raises:
            ToolDefinitionError: it leads nowhere, or out of the document's folder.
        """
        from referencing.exceptions import Unresolvable

        reference = reference_of(self.value)
        if _REMOTE.match(reference):
            raise ToolDefinitionError(
                f"The reference {reference[:200]!r} leads to another machine or place.",
                hint="Save what it names beside the document, and refer to that.",
            )
        try:
            found = self.resolver.lookup(reference)
        except (Unresolvable, LookupError, TypeError, ValueError) as problem:
            why = problem.__cause__ and problem.__cause__.__cause__
            said = f": {why}" if isinstance(why, ToolError | ToolDefinitionError) else "."
            raise ToolDefinitionError(f"The reference {reference[:200]!r} leads nowhere{said}") from problem
        return Part(found.contents, found.resolver)


def reference_of(value: JSON) -> str:
    """Where a `$ref` leads; empty if it is none."""
    reference = value.get("$ref") if isinstance(value, Mapping) else None
    return reference if isinstance(reference, str) else ""


@dataclass(frozen=True, slots=True)
class Document:
    name: str
    """As the person named it."""
    root: Part
    old: bool
    """Whether it is of OpenAPI 3.0, whose schemas are not quite JSON Schema."""
    url: str = ""
    """Where it is from, if from a URL."""


def is_url(source: object) -> bool:
    return isinstance(source, str) and re.match(r"https?://", source, re.IGNORECASE) is not None


async def bytes_of(source: str, folder: Path, resolver: Resolver | None = None) -> bytes:
    """The bytes of a document: a file, or what a URL answers with.

    Raises:
        ToolDefinitionError: they cannot be had, or are too many.
    """
    return await _fetched(source, resolver) if is_url(source) else await in_thread(_read, source, folder)


def _read(source: str, folder: Path) -> bytes:
    try:
        with (folder / Path(source).expanduser()).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, RuntimeError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        raise _refused(source, f"cannot be read: {why}.") from problem
    if len(content) > MOST_BYTES:
        raise _refused(source, f"is too large: more than {MOST_BYTES // 1024**2} MiB.")
    return content


async def _fetched(url: str, resolver: Resolver | None) -> bytes:
    import httpx

    from gemmagraph.tools.guards.hosts import origin_of
    from gemmagraph.tools.guards.transport import guarded_client

    try:
        asked = httpx.URL(url)
        origin = origin_of(asked.scheme, asked.raw_host.decode("ascii"), asked.port)
        client = guarded_client(
            base_url=str(origin),
            allow_hosts=["*"],
            redirects=3,
            max_bytes=MOST_BYTES,
            timeout=_SECONDS,
            resolver=resolver,
        )
        async with client:
            answer = await client.get(asked)
    except (httpx.HTTPError, httpx.InvalidURL, ToolError, ValueError) as problem:
        raise _refused(url, f"cannot be fetched: {problem}.") from problem
    if answer.status_code != 200:
        raise _refused(url, f"cannot be fetched: the answer is {answer.status_code} {answer.reason_phrase}.")
    return answer.content


def digest(content: bytes) -> str:
    """What `pin` says of a document."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def read_document(
    content: bytes, name: str, *, folder: Path | None = None, file: str = "", pin: str = ""
) -> Document:
    """A document from its bytes.

    Args:
        folder: where files that it refers to lie; None if it may refer to none.
        file: its own name there.
        pin: the digest that it must have.

    Raises:
        ToolDefinitionError: it has another digest, or is none of OpenAPI 3.0 or 3.1.
    """
    if pin and digest(content) != pin:
        raise ToolDefinitionError(
            f"{name} is not what was pinned: it is {digest(content)}.",
            faults=[Fault(("pin",), "the document has changed.", "Look at what it is now; then pin that.")],
        )
    return document_of(_parsed(content, name), name, folder=None if pin else folder, file=file)


def document_of(root: JSON, name: str, *, folder: Path | None = None, file: str = "") -> Document:
    """A document from its value.

    Raises:
        ToolDefinitionError: it is none of OpenAPI 3.0 or 3.1.
    """
    version = str(root.get("openapi") or root.get("swagger") or "") if isinstance(root, Mapping) else ""
    if not re.match(r"3\.[01](\.|$)", version):
        said = f"is of the version {version[:20]!r}" if version else "has no `openapi: 3.…`"
        raise _refused(name, f"{said}: OpenAPI 3.0 and 3.1 are read.")
    part = Part(root, _resolver(root, name, folder, _INSIDE + quote(file or "document")))
    return Document(name, part, version.startswith("3.0"), name if is_url(name) else "")


def _resolver(root: JSON, name: str, folder: Path | None, uri: str) -> Any:
    from referencing import Registry, Specification

    found: dict[str, Any] = {}

    def retrieve(asked: str) -> Any:
        if asked not in found:
            found[asked] = Specification.OPAQUE.create_resource(_beside(asked, name, folder))
        return found[asked]

    registry: Any = Registry(retrieve=retrieve)  # type: ignore[call-arg]  # its stubs know no arguments
    return registry.with_resource(uri, Specification.OPAQUE.create_resource(root)).resolver(base_uri=uri)


def _beside(uri: str, name: str, folder: Path | None) -> JSON:
    """The value of a file beside the document."""
    from gemmagraph.tools.guards.paths import Root

    if folder is None:
        raise ToolDefinitionError(f"{name} is pinned or has no folder, and may refer to no other file.")
    if not uri.startswith(_INSIDE):
        raise ToolDefinitionError(f"it is not in the folder of {name}.")
    path = unquote(uri.removeprefix(_INSIDE))
    return _parsed(Root(folder).read_bytes(path, max_bytes=MOST_BYTES), path)


def _parsed(content: bytes, name: str) -> JSON:
    """The value of a JSON or YAML text."""
    from gemmagraph.tools.imports.openapi_yaml import read_yaml

    try:
        text = content.decode("utf-8-sig")
        if text.lstrip()[:1] in ("{", "["):
            return json.loads(text, parse_constant=_no_constant)
        return read_yaml(text)
    except (ValueError, RecursionError) as problem:
        why = str(problem) or "it is nested too deeply"
        raise _refused(name, f"is neither JSON nor YAML that is read: {why}.") from problem


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _refused(name: str, problem: str) -> ToolDefinitionError:
    message = f"{os.fspath(name)[:200]} {problem}"
    return ToolDefinitionError(message, faults=[Fault(("openapi",), message)])
