"""The tools of an MCP server as our tools: the `mcp:` of a file, and `mcp_tools` and `McpServer` from Python.

There is one session with a server, on the background loop, whichever event loops the calls come from. It begins with
the first use, and again when it was lost; a call that may have arrived is never made twice by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack, cast

from gemmagraph.prompts.errors import GemmagraphError
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.base import Rendered
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.declared.problems import did_you_mean
from gemmagraph.tools.declared.tools import AROUND
from gemmagraph.tools.declaring import declared_tool
from gemmagraph.tools.errors import BodyError, Fault, ToolDefinitionError, refuse
from gemmagraph.tools.fields import Scope
from gemmagraph.tools.imports.foreign import Import, Surroundings, overridden
from gemmagraph.tools.imports.mcp_definitions import MOST_SHOWN, Definition, pinned
from gemmagraph.tools.imports.mcp_results import value_of
from gemmagraph.tools.imports.mcp_targets import Program, ServerKeys, Target, target_of
from gemmagraph.tools.imports.schemas import limited
from gemmagraph.tools.imports.texts import readable
from gemmagraph.tools.runtime import in_thread, run_sync
from gemmagraph.tools.secrets import mask, mask_json, mask_logs
from gemmagraph.tools.tool import Tool

if TYPE_CHECKING:
    from mcp_types import CallToolResult

    from gemmagraph.tools.imports.mcp_session import Session

T = TypeVar("T")

START_SECONDS: Final = 30.0
"""How long a server may take from its start to the end of the handshake."""
_OF_AN_OVERRIDE: Final = ("name", "description", *AROUND)
_HERE: Final = "gemmagraph.tools.imports"
_CLOSING: Final = 20.0
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.*-]{1,64}")
_LOGGERS: Final = ("mcp", "client", "httpx2", "httpcore2")
"""Those of the MCP library and of what it asks by."""


class McpServer:
    """An MCP server and those of its tools that are wanted. Nothing is started before it is used.

    Args:
        command: the program that is the server, on the PATH or by its path.
        args: its arguments.
        env: what its environment holds beside PATH, LANG and HOME.
        cwd: the folder it runs in.
        url: in place of these, the address of a server that is reached by streamable HTTP. Only this host is asked,
            and only it may be private.
        headers: sent with each request, to this host only.
        include: names and globs of the tools that are wanted; all unless said.
        overrides: what to say otherwise of a tool, by its name there: name, description, annotations, approval,
            result. Only here can a tool be marked read-only: what its server says of that counts for nothing.
        pin: the digest that the tools must have, `sha256:…`; see `pin_of`.
        secrets: what `{{ secrets.NAME }}` in `env`, `url` and `headers` names.
        start_timeout: seconds from the start to the end of the handshake.
        resolver: stands in for the system's.
        verify: stands in for the certificates that are trusted.

    Raises:
        ToolDefinitionError: something is wrong with these; it holds all that is.
    """

    _pid: int
    _loop: asyncio.AbstractEventLoop | None
    _session: Session | None
    _starting: asyncio.Task[Session] | None
    _doubting: asyncio.Task[None] | None
    _finalizer: weakref.finalize[Any, McpServer] | None

    def __init__(
        self,
        *,
        folder: Path = Path(),
        place: str = "",
        defaults: Mapping[str, Any] = MappingProxyType({}),
        **keys: Unpack[ServerKeys],
    ) -> None:
        faults: list[Fault] = []
        self._target: Target = target_of(keys, folder, faults)
        self.name = self._target.name
        """How people know it."""
        self.left_out: dict[str, str] = {}
        """What is not among the tools, and why; complete once `tools` has returned."""
        self._include = tuple(keys.get("include") or ("*",))
        self._overrides = keys.get("overrides") or {}
        self._pin = keys.get("pin") or ""
        self._seconds = keys.get("start_timeout", START_SECONDS)
        self._place = place
        self._defaults = defaults
        for name, said in self._overrides.items():
            for key in said.keys() - set(_OF_AN_OVERRIDE):
                hint = did_you_mean(key, _OF_AN_OVERRIDE)
                faults.append(Fault(("overrides", name, key), "this cannot be said of a tool.", hint))
        refuse(f"The MCP server {self.name}", faults)
        self._forget()

    def unavailable(self) -> str | None:
        """Why it cannot be used here, as far as that is known without starting it."""
        if find_spec("mcp_types") is None:  # versions of mcp before 2 have none
            return "the package mcp, of version 2, is not installed (pip install 'gemmagraph[mcp]')"
        return self._target.unavailable()

    def facts(self) -> dict[str, JSON]:
        """Where it is, as JSON; secrets by their names."""
        return self._target.facts()

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names and globs, one of which each of its tools' names fits; None: any may."""
        given = {name: str(said["name"]) for name, said in self._overrides.items() if "name" in said}
        # What cannot stand in a name becomes one `_`, however much it is.
        globs = [given.get(one, one).replace("?", "*") for one in self._include]
        return (*globs, *given.values()) if all(map(_PLAIN.fullmatch, globs)) else None

    async def tools(self) -> list[Tool]:
        """Its tools as they are now: it is asked again if it said that they changed.

        Raises:
            ToolDefinitionError: it cannot be had, its tools are not those that were pinned, or what is said under
                `overrides` does not fit them.
        """
        if reason := self.unavailable():
            raise ToolDefinitionError(f"The MCP server {self.name} cannot be used: {reason}.")
        try:
            found, refused = await self._there(self._listed)
        except GemmagraphError as exc:
            raise ToolDefinitionError(exc.message, hint=exc.hint) from exc
        made = self._made(found, refused)
        if self._pin and (now := pin_of(made)) != self._pin:
            raise ToolDefinitionError(
                f"The tools of the MCP server {self.name} are not those that were pinned: they are {now}.",
                hint="Look at what changed (`gemmagraph tools pin --dry-run`), then run `gemmagraph tools pin`.",
                faults=[Fault(("pin",), f"the tools have changed: they are {now}.", "Look at them, then pin that.")],
            )
        return made

    async def call(
        self, definition: Definition, arguments: Mapping[str, JSON], context: ToolContext
    ) -> CallToolResult:
        """What one of its tools answers.

        Raises:
            BodyError: the server cannot be reached, refuses, or is lost; or the tool is not what was pinned.
        """

        async def asked(session: Session) -> CallToolResult:
            if self._pin and definition not in await session.tools():
                shown = readable(definition.name, MOST_SHOWN)
                raise BodyError(f"{shown} has changed since it was pinned, and was not called.", kinds=("changed",))
            try:
                return await session.call(definition.name, arguments, context)
            except asyncio.CancelledError:
                self._doubt(session)
                raise

        return await self._there(lambda: self._with_session(asked))

    async def close(self) -> None:
        """Ends the session, and the process that is the server. A later call begins anew."""
        if self._pid == os.getpid() and self._loop is not None:
            await self._there(self._closed)

    async def __aenter__(self) -> McpServer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _made(self, found: Sequence[Definition], refused: Mapping[str, str]) -> list[Tool]:
        """The tools that are wanted and can be had."""
        wanted = {one.name: one for one in reversed(found) if any(fnmatchcase(one.name, g) for g in self._include)}
        left_out = dict(refused)
        for glob in self._include:
            if glob != "*" and not any(fnmatchcase(name, glob) for name in wanted):
                left_out.setdefault(glob, "the server has no such tool")
        faults = [
            Fault(("overrides", name), "the server has no such tool that is included.", did_you_mean(name, [*wanted]))
            for name in self._overrides
            if name not in wanted
        ]
        tools: dict[str, Tool] = {}
        for one in reversed(wanted.values()):
            shown = readable(one.name, MOST_SHOWN)
            try:
                tool = self._overridden(self._tool(one), one.name, faults)
            except ToolDefinitionError as exc:
                left_out[shown] = exc.message
                continue
            if tool.name in tools:
                left_out[shown] = f"another of its tools is called {tool.name} already"
            tools.setdefault(tool.name, tool)
        refuse(f"The tools of the MCP server {self.name}", faults)
        self.left_out.clear()
        self.left_out |= left_out
        return [*tools.values()]

    def _tool(self, one: Definition) -> Tool:
        """
        Raises:
            ToolDefinitionError: it cannot have this name, or these parameters.
        """
        name = str(self._overrides.get(one.name, {}).get("name") or one.title)
        parameters = limited(name, one.parameters)
        return declared_tool(name, one.told or name, parameters, McpBody(self, one))

    def _overridden(self, tool: Tool, name: str, faults: list[Fault]) -> Tool:
        try:
            return overridden(tool, self._overrides.get(name, {}), self._place, self._defaults)
        except ToolDefinitionError as exc:
            own = exc.faults or [Fault((), exc.message, exc.hint)]
            faults += [Fault(("overrides", name, *fault.key), fault.message, fault.hint) for fault in own]
            return tool

    # What follows runs on the background loop, but for `_there` and `_forget`.

    async def _there(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, done on the background loop."""
        if self._pid != os.getpid():  # in a forked child nothing of its parent's is usable
            if self._finalizer is not None:
                self._finalizer.detach()
            self._forget()
        if self._loop is None:
            self._loop = await in_thread(lambda: run_sync(_running_loop()))
        if self._loop is asyncio.get_running_loop():
            return await work()

        async def done() -> T:
            return await work()

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(done(), self._loop))

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._loop = self._session = self._starting = self._doubting = self._finalizer = None

    async def _listed(self) -> tuple[list[Definition], dict[str, str]]:
        async def asked(session: Session) -> tuple[list[Definition], dict[str, str]]:
            return await session.tools(), session.refused

        return await self._with_session(asked)

    async def _with_session(self, ask: Callable[[Session], Awaitable[T]]) -> T:
        """What is asked in a session; in a new one if the server has forgotten this one, and did not look at it."""
        session = await self._running()
        from gemmagraph.tools.imports.mcp_failures import SessionLost  # loaded by now, and not by this loop

        try:
            return await ask(session)
        except SessionLost:
            await session.close()
            return await ask(await self._running())

    async def _running(self) -> Session:
        """The session, begun if there is none. Whoever stops waiting for its beginning stops nobody else."""
        if self._doubting is not None:
            await asyncio.wait({self._doubting})
        if self._session is not None and not self._session.over.is_set():
            return self._session
        if self._starting is None:
            self._starting = asyncio.create_task(self._begun())
            self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        starting = self._starting
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            waiting = asyncio.current_task()
            if starting.cancelled() and waiting is not None and not waiting.cancelling():
                raise BodyError(f"The MCP server {self.name} was closed.", kinds=("unreachable",)) from None
            raise

    def _doubt(self, session: Session) -> None:
        """A call was given up, as its time was over or somebody stopped it. A program that answers nothing any more
        is ended, so that the next call starts it anew."""
        if isinstance(self._target, Program) and (self._doubting is None or self._doubting.done()):
            self._doubting = asyncio.create_task(session.end_if_silent())

    async def _begun(self) -> Session:
        try:
            # Both take a while to load, and others are at work on this loop.
            module = await in_thread(import_module, f"{_HERE}.mcp_session")
            await in_thread(import_module, f"{_HERE}.{self._target.loads}")
            mask_logs(*_LOGGERS)  # they write addresses and messages
            failures = module.Failures()
            session: Session = module.Session(self.name, *self._target.open(failures), failures)
            await session.start(self._seconds)
            self._session = session
            self._end_with_me(session)
            return session
        finally:
            self._starting = None

    def _end_with_me(self, session: Session) -> None:
        """A session whose server nobody holds any more is ended, as if it had been closed."""
        if self._finalizer is not None:
            self._finalizer.detach()
        loop = asyncio.get_running_loop()
        self._finalizer = weakref.finalize(self, loop.call_soon_threadsafe, session.over.set)
        self._finalizer.atexit = False  # the process ends with this one by itself

    async def _closed(self) -> None:
        session, self._session = self._session, None
        if (starting := self._starting) is not None:
            starting.cancel()
            await asyncio.wait({starting}, timeout=_CLOSING)
        if session is not None:
            await session.close()


class McpBody:
    """One tool of a server."""

    kind = "mcp"
    reads = False

    def __init__(self, server: McpServer, definition: Definition) -> None:
        self.server = server
        self.definition = definition

    def unavailable(self) -> str | None:
        return self.server.unavailable()

    def render(self, scope: Scope) -> Rendered:
        arguments = dict(scope["args"])
        name = self.definition.name
        written = json.dumps(arguments, ensure_ascii=False)
        facts = {
            "server": self.server.facts(),
            "tool": name,
            "definition": self.definition.digest,
            "arguments": arguments,
        }
        shown = f"{self.server.name}: {readable(name, MOST_SHOWN)} {written}"
        return Rendered(self.kind, mask(shown), cast("Mapping[str, JSON]", mask_json(facts)), arguments)

    async def perform(self, rendered: Rendered, context: ToolContext) -> object:
        arguments = cast("Mapping[str, JSON]", rendered.live)
        result = await self.server.call(self.definition, arguments, context)
        return value_of(result, self.definition.title, structured=self.definition.output is not None)

    async def close(self) -> None:
        await self.server.close()


def mcp_import(said: Mapping[str, Any], around: Surroundings) -> Import:
    """The import that a file declares. The server is started when it is opened.

    Args:
        said: the mapping under `imports:`.

    Raises:
        ToolDefinitionError: something is wrong with what is said; it holds all that is.
    """
    keys: Any = {key: value for key, value in said["mcp"].items() if key != "type"}
    keys |= {key: said[key] for key in ("include", "overrides", "pin") if key in said}
    place, secrets = around.place, around.secrets
    server = McpServer(folder=around.folder, place=place, defaults=around.defaults, secrets=secrets, **keys)
    return Import(server.name, "mcp", place, server.tools, server.names, server.left_out)


def mcp_tools(**keys: Unpack[ServerKeys]) -> list[Tool]:
    """The tools of an MCP server: `mcp_tools(command="uvx", args=["mcp-server-time"], include=["get_*"])`.

    The keywords are those of `McpServer`, which is what to use from async code.

    Raises:
        ToolDefinitionError: something is wrong with these, or the server cannot be had.
    """
    return run_sync(McpServer(**keys).tools())


def pin_of(tools: Sequence[Tool]) -> str:
    """What `pin` says of the tools of one MCP server: a digest of their names, descriptions and schemas there."""
    return pinned(tool.body.definition for tool in tools if isinstance(tool.body, McpBody))


async def _running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()
