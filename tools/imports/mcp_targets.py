"""Where an MCP server is: a program that is started here, or an address. Nothing is started or asked here yet."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypedDict, cast

from gemmagraph.prompts.errors import GemmagraphError
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.http_connection import (
    check_header_name,
    header_value,
    missing_secret,
    names_of,
    secret_field,
)
from gemmagraph.tools.errors import Fault, ToolDefinitionError
from gemmagraph.tools.fields import Field
from gemmagraph.tools.guards.hosts import split_base
from gemmagraph.tools.guards.processes import find_program, unsupported
from gemmagraph.tools.secrets import Secrets

if TYPE_CHECKING:
    import ssl

    from mcp.client._transport import TransportStreams

    from gemmagraph.tools.guards.transport import Resolver
    from gemmagraph.tools.imports.mcp_failures import Failures

_RUNNERS: Final = frozenset(("uv", "uvx", "npx", "bunx", "node", "deno", "docker", "podman"))
_OF_THE_PROTOCOL: Final = ("accept", "content-type", "last-event-id")


class ServerKeys(TypedDict, total=False):
    """What is said of a server: the keys under `mcp:`, and beside it."""

    command: str
    args: Sequence[str]
    env: Mapping[str, str]
    cwd: str | os.PathLike[str]
    url: str
    headers: Mapping[str, str]
    include: Sequence[str]
    overrides: Mapping[str, Mapping[str, Any]]
    pin: str
    secrets: Secrets
    start_timeout: float
    resolver: Resolver
    verify: ssl.SSLContext


class Target(Protocol):
    """What is needed to reach a server."""

    @property
    def name(self) -> str:
        """How people know it. It is never what the server calls itself."""

    @property
    def loads(self) -> str:
        """The module that `open` needs."""

    def unavailable(self) -> str | None:
        """Why it cannot be had here, as far as that is known without trying."""

    def facts(self) -> dict[str, JSON]:
        """All that is said of it; secrets by their names."""

    def open(
        self, failures: Failures
    ) -> tuple[AbstractAsyncContextManager[TransportStreams], Callable[[], Awaitable[str]]]:
        """One connection to it, and what tells how that ended."""


class Program:
    """A program of this machine.

    Args:
        folder: what a relative `command` and `cwd` are relative to.
        faults: gathers what is wrong.
    """

    loads = "mcp_process"

    def __init__(
        self,
        command: str,
        args: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None,
        *,
        folder: Path,
        secrets: Secrets,
        faults: list[Fault],
    ) -> None:
        self._secrets = secrets
        self._command = _literal(command, ("mcp", "command"), secrets, faults)
        self._args = [_literal(one, ("mcp", "args", at), secrets, faults) for at, one in enumerate(args)]
        self._env = {name: secret_field(value, ("mcp", "env", name), secrets, faults) for name, value in env.items()}
        named = folder / Path(self._command).expanduser() if os.path.dirname(self._command) else self._command
        self._program = find_program(os.path.abspath(named) if isinstance(named, Path) else named)
        said = "" if cwd is None else _literal(cwd, ("mcp", "cwd"), secrets, faults)
        self._cwd = os.path.abspath(folder / Path(said).expanduser()) if said else None
        self.name = _title(self._command, self._args)

    def unavailable(self) -> str | None:
        if problem := unsupported():
            return problem
        if self._program is None:
            return f"there is no program {self._command}"
        if self._cwd is not None and not os.path.isdir(self._cwd):
            return f"there is no folder {self._cwd}"
        return missing_secret(self._env.values(), self._secrets)

    def facts(self) -> dict[str, JSON]:
        return {
            "command": [self._program or self._command, *self._args],
            "env": self._filled(names_of(self._secrets)),
            "cwd": self._cwd or os.getcwd(),
        }

    def open(
        self, failures: Failures
    ) -> tuple[AbstractAsyncContextManager[TransportStreams], Callable[[], Awaitable[str]]]:
        from gemmagraph.tools.imports.mcp_process import ServerProcess

        argv = [self._program or self._command, *self._args]
        process = ServerProcess(argv, self._filled(self._secrets), self._cwd or os.getcwd(), failures)
        return cast("AbstractAsyncContextManager[TransportStreams]", process.streams()), process.epitaph

    def _filled(self, secrets: Mapping[str, str]) -> dict[str, str]:
        return {name: str(value.text({"secrets": secrets})) for name, value in self._env.items()}


class Address:
    """A server that is reached by streamable HTTP."""

    loads = "mcp_http"

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        secrets: Secrets,
        faults: list[Fault],
        resolver: Resolver | None = None,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._secrets = secrets
        self._url = secret_field(url, ("mcp", "url"), secrets, faults)
        self._headers: dict[str, Field] = {}
        for name, value in headers.items():
            key = ("mcp", "headers", name)
            check_header_name(name, key, faults)
            if str(name).lower() in _OF_THE_PROTOCOL or str(name).lower().startswith("mcp-"):
                faults.append(Fault(key, f"{name} is set by the protocol."))
            self._headers[name] = secret_field(value, key, secrets, faults)
        self.name = "a URL"
        literal = self._url.literal
        if literal:
            try:
                self.name = split_base(literal.partition("?")[0])[0].host
            except ValueError as problem:
                faults.append(Fault(("mcp", "url"), str(problem)))
        elif self._url.prefix.count("/") >= 3:
            self.name = self._url.prefix.split("/")[2]
        self._resolver = resolver
        self._verify = verify

    def unavailable(self) -> str | None:
        return missing_secret((self._url, *self._headers.values()), self._secrets)

    def facts(self) -> dict[str, JSON]:
        names = names_of(self._secrets)
        return {"url": str(self._url.text({"secrets": names})), "headers": self._filled(names)}

    def open(
        self, failures: Failures
    ) -> tuple[AbstractAsyncContextManager[TransportStreams], Callable[[], Awaitable[str]]]:
        from gemmagraph.tools.imports.mcp_http import http_streams

        url = str(self._url.text({"secrets": self._secrets}))
        try:
            split_base(url.partition("?")[0])
        except ValueError:
            raise GemmagraphError(f"{self.facts()['url']} is no address of an MCP server.") from None
        streams: AbstractAsyncContextManager[Any] = http_streams(
            url, lambda: self._filled(self._secrets), failures, resolver=self._resolver, verify=self._verify
        )
        return streams, _nothing

    def _filled(self, secrets: Mapping[str, str]) -> dict[str, str]:
        filled = ((name, str(value.text({"secrets": secrets}))) for name, value in self._headers.items())
        return {name: header_value(name, value) for name, value in filled}


def target_of(keys: ServerKeys, folder: Path, faults: list[Fault]) -> Target:
    """The server that is meant.

    Raises:
        ToolDefinitionError: it is said in both ways, or in none.
    """
    secrets = keys.get("secrets") or Secrets()
    url, command = keys.get("url"), keys.get("command")
    if (url is None) == (command is None):
        raise ToolDefinitionError("An MCP server has either a command or a url.")
    if url is not None:
        others = (key for key in ("args", "env", "cwd") if keys.get(key))
        faults += [Fault(("mcp", key), "a server with a url has none.") for key in others]
        return Address(
            url,
            keys.get("headers") or {},
            secrets=secrets,
            faults=faults,
            resolver=keys.get("resolver"),
            verify=keys.get("verify"),
        )
    if keys.get("headers"):
        faults.append(Fault(("mcp", "headers"), "a server with a command has none."))
    cwd = keys.get("cwd")
    return Program(
        str(command),
        keys.get("args") or (),
        keys.get("env") or {},
        None if cwd is None else os.fspath(cwd),
        folder=folder,
        secrets=secrets,
        faults=faults,
    )


async def _nothing() -> str:
    return ""


def _literal(text: object, key: tuple[str | int, ...], secrets: Secrets, faults: list[Fault]) -> str:
    """A text without placeholders: everybody on this machine sees how a program is called."""
    literal = secret_field(text, key, secrets, faults).literal
    if literal is None:
        faults.append(Fault(key, "has a placeholder.", "Give a secret to the server in `env`."))
    elif "\0" in literal or (key[-1] in ("command", "cwd") and not literal):
        faults.append(Fault(key, f"{literal!r} cannot be used."))
    return literal or ""


def _title(command: str, args: Sequence[str]) -> str:
    """The program, or what a program that runs others is to run."""
    name = os.path.basename(command)
    if name in _RUNNERS or name.startswith("python"):
        words = [arg for arg in args if not arg.startswith("-") and arg not in ("run", "tool", "exec", "x")]
        telling = (word for word in words if "mcp" in word.lower() or "server" in word.lower())
        name = os.path.basename(next(telling, words[0] if words else name).rstrip("/")) or name
    return name[:60] or "an MCP server"
