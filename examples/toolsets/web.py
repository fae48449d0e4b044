"""Pages of the web as text: the functions behind web.yaml."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from gemmagraph.tools import ToolError
from gemmagraph.tools.guards.transport import guarded_client

MOST_BYTES = 2 * 2**20
MOST_LINKS = 200
REDIRECTS = 5


async def read_page(url: str) -> str:
    """Read a page of the web as plain text.

    Args:
        url: Its address, beginning with https:// or http://.
    """
    page, _ = await _page(url)
    return page.text() or "The page has no text."


async def page_links(url: str, text: str = "") -> str:
    """List the links on a page of the web.

    Args:
        url: Its address, beginning with https:// or http://.
        text: Only links with this text, or with it in their address.
    """
    page, address = await _page(url)
    links = dict.fromkeys((" ".join("".join(said).split()), urljoin(address, target)) for target, said in page.links)
    wanted = text.casefold()
    lines = [
        f"{said or '(no text)'}: {target}"
        for said, target in links
        if target.startswith(("http://", "https://")) and wanted in f"{said} {target}".casefold()
    ]
    return "\n".join(lines[:MOST_LINKS]) or "The page has no such links."


def client() -> httpx.AsyncClient:
    """What pages are fetched by: every public host, none other."""
    return guarded_client(allow_hosts=["*"], max_bytes=MOST_BYTES, timeout=10.0)


async def _page(url: str) -> tuple["Page", str]:
    """A page, and the address at which it was in the end."""
    answer = await _answer(url)
    kind = answer.headers.get("Content-Type", "text/html").partition(";")[0].strip().lower()
    page = Page()
    if kind in ("text/html", "application/xhtml+xml"):
        page.feed(answer.text)
        page.close()
    elif kind.startswith("text/") or kind == "application/json":
        page.pieces.append(answer.text)
    else:
        raise ToolError(f"{url} is no page, but {kind}.")
    return page, str(answer.url)


async def _answer(url: str) -> httpx.Response:
    """The answer at the end of the redirects. Each is a request of its own, so that each is checked."""
    if not re.match(r"https?://", url, re.IGNORECASE):
        raise ToolError(f"{url!r} is no address.", hint="It begins with https:// or http://.")
    asked = url
    try:
        async with client() as web:
            for _ in range(REDIRECTS + 1):
                answer = await web.get(asked, headers={"Accept": "text/html, text/plain;q=0.9, */*;q=0.1"})
                if not answer.has_redirect_location:
                    break
                asked = urljoin(asked, answer.headers["Location"])
    except (httpx.HTTPError, httpx.InvalidURL) as problem:
        raise ToolError(f"{asked} cannot be read: {problem or type(problem).__name__}.") from problem
    if not answer.is_success:
        raise ToolError(f"{asked} answered {answer.status_code} {answer.reason_phrase}.")
    return answer


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_UNSEEN = _words("script style noscript template svg math iframe object select button dialog")
_ASIDE = _words("nav footer")
"""Their links are links of the page, but their text is not what one came for."""
_VOID = _words("area base br col embed hr img input link meta source track wbr")
_NEED_NO_END = _words("p li dt dd tr td th")
_APART = _words("title p ul ol table h1 h2 h3 h4 h5 h6")
_BLOCKS = _APART | _words(
    """address article aside blockquote body br caption dd details div dl dt fieldset figcaption figure form header hr
    li main pre section summary tr"""
)
_MARKS = {"li": "- ", "td": " | ", "th": " | "} | {f"h{level}": "#" * level + " " for level in range(1, 7)}


class Page(HTMLParser):
    """The text of an HTML page as a reader sees it: no scripts, no menus, nothing that is hidden."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.links: list[tuple[str, list[str]]] = []
        """Target and text of each."""
        self._in_link = False
        self._hidden: list[str] = []
        """The elements that are open in one that is not seen, it first."""
        self._aside = self._preformatted = 0

    def text(self) -> str:
        lines = (line.rstrip() for line in "".join(self.pieces).replace("\xa0", " ").split("\n"))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._hidden == [tag] and tag in _NEED_NO_END:
            self._hidden.clear()
        known = dict(attrs)
        if self._hidden or tag in _UNSEEN or _is_hidden(known):
            if tag not in _VOID:
                self._hidden.append(tag)
            return
        if tag == "a" and known.get("href"):
            self.links.append((str(known["href"]), []))
            self._in_link = True
        self._aside += tag in _ASIDE
        self._preformatted += tag == "pre"
        self._break(tag)
        if tag in _MARKS and not self._aside:
            self.pieces.append(_MARKS[tag])

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            if tag in self._hidden:
                while self._hidden.pop() != tag:
                    pass
            return
        self._in_link = self._in_link and tag != "a"
        self._aside -= tag in _ASIDE and self._aside > 0
        self._preformatted -= tag == "pre" and self._preformatted > 0
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._in_link:
            self.links[-1][1].append(data)
        if not self._aside:
            said = data if self._preformatted else re.sub(r"\s+", " ", data)
            fresh = not self._preformatted and (not self.pieces or self.pieces[-1].endswith(("\n", " ")))
            self.pieces.append(said.lstrip(" ") if fresh else said)

    def _break(self, tag: str) -> None:
        if tag in _BLOCKS and not self._aside:
            self.pieces.append("\n\n" if tag in _APART else "\n")


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    style = re.sub(r"\s", "", attributes.get("style") or "").lower()
    hidden = "hidden" in attributes or attributes.get("aria-hidden") == "true"
    return hidden or "display:none" in style or "visibility:hidden" in style
