"""Slack's Web API by the client of Slack's SDK: keys, errors, names of people, files."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from gemmagraph.bots.base import File
from gemmagraph.bots.bodies import at_most
from gemmagraph.bots.errors import BotError, NotInstalled, NotThere, Revoked, TooFast, Unreachable
from gemmagraph.bots.slack.socket import Socket

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

ADDRESS: Final = "https://slack.com/api/"
FILES: Final = "https://files.slack.com"
KEYS: Final = {"token": "xoxb-", "app_token": "xapp-", "base_url": "http"}
"""What stands below `slack:`, and how it begins."""
SECONDS: Final = 20
NAMING: Final = 1.0
"""Seconds for names that are not known yet: the event that they are for waits, and Slack wants an answer in three."""
NAME_FOR: Final = 600.0
NO_NAME_FOR: Final = 60.0
NAMES: Final = 5000
REDIRECTS: Final = 3

REVOKED: Final = frozenset(
    {"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "not_allowed_token_type"}
    | {"org_login_required", "team_access_not_granted", "user_removed_from_team"}
)
LATER: Final = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)
HINTS: Final[Mapping[str, str]] = {
    "not_in_channel": "Invite the bot to the channel: /invite @NAME.",
    "channel_not_found": "Invite the bot to the channel: /invite @NAME.",
    "not_allowed_token_type": "`token` is the bot's (xoxb-…), `app_token` that of the app (xapp-…).",
}


def settings(keys: Mapping[str, Any]) -> dict[str, str]:
    """The keys, found good.

    Raises:
        BotError: one is missing, unknown or not what Slack gives.
    """
    known = ", ".join(KEYS)
    for name in keys.keys() - KEYS.keys():
        raise BotError(f"`slack:` has no key {name!r}.", hint=f"Its keys are {known}.")
    for name in ("token", "app_token"):
        if not keys.get(name):
            raise BotError(f"`slack:` needs the key {name!r}.", hint="docs/bots/slack.md says where to find it.")
    for name, value in keys.items():
        if not isinstance(value, str) or not value.strip().startswith(KEYS[name]):
            raise BotError(f"{name!r} of `slack:` does not begin with {KEYS[name]}.", hint=HINTS.get(name, ""))
    return {name: value.strip() for name, value in keys.items()}


class SlackApi:
    """Slack's methods, and what is remembered of its people."""

    def __init__(self, token: str, app_token: str, base_url: str = ADDRESS) -> None:
        try:
            from slack_sdk.web.async_client import AsyncWebClient
        except ImportError as exc:
            raise NotInstalled.of("Slack", "gemmagraph[slack]") from exc
        # The SDK logs what is said, and addresses that let in whoever knows them.
        self._logger = logging.Logger("gemmagraph.bots.slack.sdk", logging.CRITICAL + 1)
        # No retries: tried again by the SDK, a message could stand there twice.
        self._web = AsyncWebClient(token, base_url, SECONDS, logger=self._logger, retry_handlers=[])
        self._app_token = app_token
        self._files = FILES if base_url == ADDRESS else _origin(base_url)
        self.names: dict[str, str] = {}
        """What people are called, by user id."""
        self._learned: dict[str, float] = {}
        self._date = ""

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """Connections are kept for the next request inside."""
        import aiohttp

        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
            self._web.session = session
            try:
                yield
            finally:
                self._web.session = None

    async def ask(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        """What a method of the Web API answers, named as the SDK names it.

        Raises:
            TooFast, Unreachable, NotThere, Revoked: as they say.
        """
        import aiohttp
        from slack_sdk.errors import SlackApiError

        try:
            answer = await getattr(self._web, method)(**arguments)
        except SlackApiError as exc:
            raise _error(exc.response, method) from exc
        except (aiohttp.ClientError, OSError, ValueError, AttributeError) as exc:
            # The last two: the SDK could not read the answer, which may be anybody's who stands in between.
            raise Unreachable(f"Slack cannot be reached: {type(exc).__name__}.") from exc
        self._date = str(answer.headers.get("Date") or "")
        return answer.data  # type: ignore[no-any-return]  # a dictionary, for all methods that are used here

    async def socket(self) -> Socket:
        """A connection that was not made yet."""
        opened = await self.ask("apps_connections_open", app_token=self._app_token)
        return Socket(self._web, self._app_token, str(opened["url"]), self._logger)

    def now(self) -> float:
        """The time of Slack's clock: ours, unless it goes wrong."""
        ours = time.time()
        try:
            theirs = parsedate_to_datetime(self._date).timestamp()
        except ValueError:
            return ours
        return ours if -0.5 < ours - theirs < 1.5 else theirs + 1  # theirs are whole seconds

    def call(self, user: Mapping[str, Any]) -> None:
        """Somebody is called so now, as Slack describes people."""
        profile = user.get("profile") or {}
        name = profile.get("display_name") or profile.get("real_name") or user.get("real_name") or user.get("name")
        if len(self._learned) >= NAMES:
            self.names.clear()
            self._learned.clear()
        self.names[str(user["id"])], self._learned[str(user["id"])] = str(name or user["id"]), time.monotonic()

    async def learn(self, users: Iterable[str]) -> None:
        """Asks for the names that are not known, for a moment; who has none then is shown by id."""
        now = time.monotonic()
        if unknown := {user for user in users if now - self._learned.get(user, now - NAME_FOR) >= NAME_FOR}:
            asking = [asyncio.create_task(self._learn(user)) for user in unknown]
            try:
                await asyncio.wait(asking, timeout=NAMING)
            finally:
                for one in asking:
                    one.cancel()
                await asyncio.gather(*asking, return_exceptions=True)

    async def _learn(self, user: str) -> None:
        try:
            self.call((await self.ask("users_info", user=user))["user"])
        except (BotError, LookupError):
            self._learned[user] = time.monotonic() - NAME_FOR + NO_NAME_FOR

    async def fetch(self, file: File, most: int) -> bytes:
        import aiohttp

        url = str(file.reference.get("url") or "")
        if not url and file.reference.get("id"):  # of a channel that is shared with another company
            found = (await self.ask("files_info", file=file.reference["id"])).get("file") or {}
            url = str(found.get("url_private_download") or found.get("url_private") or "")
        try:
            if (session := self._web.session) and not session.closed:
                return await self._read(session, url, file, most)
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
                return await self._read(session, url, file, most)
        except (aiohttp.ClientError, OSError) as exc:
            raise Unreachable(f"The file {file.name!r} cannot be fetched: {type(exc).__name__}.") from exc

    async def _read(self, session: ClientSession, url: str, file: File, most: int) -> bytes:
        for _ in range(REDIRECTS):
            if _origin(url) != self._files:
                raise NotThere(f"The file {file.name!r} is not on Slack's host for files.")
            bearer = {"Authorization": f"Bearer {self._web.token}"}
            async with session.get(url, headers=bearer, allow_redirects=False, proxy=self._web.proxy) as answer:
                if answer.status in (301, 302, 303, 307, 308):
                    url = urljoin(url, answer.headers.get("Location", ""))
                    if _origin(url) != self._files:  # to the page where people log in
                        raise _no_right(file)
                    continue
                return await _content(answer, file, most)
        raise NotThere(f"The file {file.name!r} leads from one address to the next.")


async def _content(answer: ClientResponse, file: File, most: int) -> bytes:
    if answer.status == 429:
        raise TooFast(_pause(answer.headers))
    if answer.status >= 500:
        raise Unreachable(f"Slack does not give the file {file.name!r} just now: HTTP {answer.status}.")
    if answer.status in (401, 403):
        raise _no_right(file)
    if answer.status != 200:
        raise NotThere(f"The file {file.name!r} is gone: HTTP {answer.status}.")
    page = answer.content_type == "text/html" and "attachment" not in answer.headers.get("Content-Disposition", "")
    if page and file.mime != "text/html":
        raise _no_right(file)
    return await at_most(most, answer.content.iter_any(), f"The file {file.name!r}")


def _no_right(file: File) -> NotThere:
    return NotThere(f"Slack does not give the file {file.name!r}.", hint="Does the bot have the scope files:read?")


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.username is not None or not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port else "")


def _pause(headers: Mapping[str, str]) -> float:
    try:
        return float(headers.get("Retry-After", "30"))
    except ValueError:
        return 30.0


def _error(answer: Any, method: str) -> BotError:
    """What an answer of Slack means: those of the SDK, or one of aiohttp that it could not read."""
    status = int(getattr(answer, "status_code", 0) or getattr(answer, "status", 0))
    data = getattr(answer, "data", None)
    said = data if isinstance(data, dict) else {}
    error = str(said.get("error") or "")
    what = f"Slack refuses {method.replace('_', '.')}: {error or f'HTTP {status}'}."
    if status == 429 or error in ("ratelimited", "rate_limited"):
        return TooFast(_pause(answer.headers))
    if status >= 500 or error in LATER or not error:
        return Unreachable(what)
    if error in REVOKED:
        return Revoked(what, hint=HINTS.get(error, "Install the app anew, and give the bot its new tokens."))
    hint = f"Give the app the scope {said.get('needed')}." if error == "missing_scope" else HINTS.get(error, "")
    return NotThere(what, hint=hint)
