"""The imports of a file: each is checked with the file, and opened when its tools are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gemmagraph.tools.declared.making import Maker
from gemmagraph.tools.declared.nodes import KeyPath
from gemmagraph.tools.declared.problems import FileErrors
from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.imports.foreign import Import
from gemmagraph.tools.tool import Tool

_OF_THE_FILE: Final = (("include",), ("overrides",), ("auth",), ("base_url",))
"""Keys whose faults are the file's. A server or a document that is not there, or not as it was, is left out."""


def imports_of(maker: Maker) -> list[Import]:
    """The imports of a file. Nothing is connected or started; what is wrong is noted in `maker`."""
    found = [
        _import(maker, ("imports", i), said) for i, said in enumerate(maker.document.values.get("imports") or ())
    ]
    return [one for one in found if one is not None]


def _import(maker: Maker, path: KeyPath, said: Mapping[str, Any]) -> Import | None:
    at = maker.document.place(path)
    folder, place = maker.document.folder(path), f"{at.file}:{at.line}"
    if "openapi" in said:
        from gemmagraph.tools.imports.openapi import openapi_import as read
    else:
        from gemmagraph.tools.imports.mcp import mcp_import as read
    keys: dict[str, Any] = {
        "folder": folder,
        "secrets": maker.secrets,
        "place": place,
        "defaults": maker.document.defaults(path),
    }
    one: Import | None = maker.guarded(path, lambda: read(said, **keys))
    return one and replace(one, open=lambda: _opened(maker, path, one))


async def _opened(maker: Maker, path: KeyPath, one: Import) -> list[Tool]:
    """Its tools. What is found wrong with the file only now is told with its line."""
    try:
        return await one.open()
    except ToolDefinitionError as exc:
        wrong = [fault for fault in exc.faults if fault.key[:1] in _OF_THE_FILE]
        if not wrong:
            raise
        raise FileErrors(maker.document.sorted(maker.document.faults(path, wrong))) from exc
