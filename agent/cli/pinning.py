"""`gemmagraph tools pin`: the digests of what a file imports, as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemmagraph.cli.editing import set_pin
from gemmagraph.cli.terminal import one_line
from gemmagraph.cli.toolfiles import imported, introduced
from gemmagraph.errors import AgentError, GemmagraphError
from gemmagraph.tools import run_sync
from gemmagraph.tools.declared.document import Document
from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.declared.making import Maker


def pinned(path: str, *, write: bool = True) -> tuple[str, bool]:
    """Pins every MCP server of a file, and every OpenAPI document that is from a URL or has a pin already; returns
    what to tell, and whether all could be pinned.

    Args:
        write: whether the digests are written; what would be pinned is told in any case.

    Raises:
        GemmagraphError: something is wrong with the file, or it cannot be changed.
    """
    told, fine = [], True
    count = len(load_document(path).values.get("imports") or ())
    for index in range(count):
        document = load_document(path)  # anew, as lines may have been added
        said = document.values["imports"][index]
        if why := document.settings.missing(("imports", index)):
            told.append(f"{document.name(('imports', index))}: not pinned: {why}")
            fine = False
            continue
        name = _name(said)
        try:
            digest, of = _digest(document, index, said)
        except GemmagraphError as exc:
            told.append(f"{name}: not pinned: {one_line(str(exc))}")
            fine = False
            continue
        if digest is None:
            told.append(f"{name}: a file of yours, needs no pin")
            continue
        known = said.get("pin")
        if digest == known:
            told.append(f"{name}: as it was pinned")
            continue
        file = set_pin(document, index, digest) if write else ""
        told += [f"{name}: {'changed' if known else 'new'}, {f'pinned in {file}' if write else 'not pinned'}", *of]
    if not count:
        raise AgentError(f"{path} imports nothing: there is nothing to pin.")
    return "\n".join(told), fine


def _digest(document: Document, index: int, said: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    """The digest of what an import brings now, None if it needs none; and what it is."""
    folder = document.folder(("imports", index))
    if "openapi" in said:
        from gemmagraph.tools.imports.openapi_document import bytes_of, digest, is_url

        source = said["openapi"]
        if not is_url(source) and "pin" not in said:
            return None, []
        return digest(run_sync(bytes_of(source, folder))), []
    from gemmagraph.tools.imports.foreign import Surroundings
    from gemmagraph.tools.imports.mcp import mcp_import, pin_of

    unpinned = {key: value for key, value in said.items() if key != "pin"}
    at = document.place(("imports", index))
    maker = Maker(document)
    made = mcp_import(unpinned, Surroundings(folder, maker.secrets, f"{at.file}:{at.line}"))
    with imported(made) as tools:
        return pin_of(tools), [introduced(tool) for tool in tools]


def _name(said: Mapping[str, Any]) -> str:
    if "openapi" in said:
        return str(said["openapi"])
    server = said["mcp"]
    return str(server.get("url") or " ".join([server["command"], *server.get("args", ())]))
