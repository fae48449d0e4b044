"""The imports of a file: each is checked with the file, and opened when its tools are needed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from gemmagraph.tools.declared.imports import IMPORT
from gemmagraph.tools.declared.making import Maker, around_of
from gemmagraph.tools.declared.nodes import KeyPath
from gemmagraph.tools.declared.problems import FileErrors
from gemmagraph.tools.errors import ToolDefinitionError, Unavailable
from gemmagraph.tools.imports.foreign import Import, Surroundings
from gemmagraph.tools.tool import Tool

_OF_THE_FILE: Final = (("include",), ("overrides",), ("auth",), ("base_url",))
"""Keys whose faults are the file's. A server or a document that is not there, or not as it was, is left out."""


def imports_of(maker: Maker) -> list[Import]:
    """The imports of a file. Nothing is connected or started; what is wrong is noted in `maker`."""
    count = len(maker.document.values.get("imports") or ())
    found = [_import(maker, ("imports", index)) for index in range(count)]
    return [one for one in found if one is not None]


def _import(maker: Maker, path: KeyPath) -> Import | None:
    document = maker.document
    said = document.parts(path, IMPORT)
    for name, override in (said.get("overrides") or {}).items():
        maker.guarded((*path, "overrides", name), partial(around_of, override, {}))
    if "mcp" not in said and not {"openapi", "include"} <= said.keys():
        return None
    at = document.place(path)
    place = f"{at.file}:{at.line}"
    if why := document.settings.missing(path):
        return Import(document.name(path), "openapi" if "openapi" in said else "mcp", place, partial(_lacking, why))
    if "openapi" in said:
        from gemmagraph.tools.imports.openapi import openapi_import as read
    else:
        from gemmagraph.tools.imports.mcp import mcp_import as read
    around = Surroundings(document.folder(path), maker.secrets, place, document.defaults(path))
    one: Import | None = maker.guarded(path, lambda: read(said, around))
    return one and replace(one, open=lambda: _opened(maker, path, one))


async def _lacking(why: str) -> list[Tool]:
    raise Unavailable(f"It cannot be opened here: {why}.")


async def _opened(maker: Maker, path: KeyPath, one: Import) -> list[Tool]:
    """Its tools. What is found wrong with the file only now is told with its line."""
    try:
        return await one.open()
    except ToolDefinitionError as exc:
        wrong = [fault for fault in exc.faults if fault.key[:1] in _OF_THE_FILE]
        if not wrong:
            raise
        raise FileErrors(maker.document.sorted(maker.document.faults(path, wrong))) from exc
