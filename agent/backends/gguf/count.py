"""Tokens of a text, counted by llama.cpp in this process.

xllamacpp has no function for that, but its engine cannot be without a small server of its own, whose page `/tokenize`
counts while a reply is written.
"""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

from gemmagraph.errors import BackendUnavailable, ServerError

_PATIENCE = 30.0
"""Seconds."""


def counted(address: str, key: str, text: str) -> int:
    """The tokens of a text, control marks as the tokens that they are, without `<bos>`. Blocks.

    Args:
        address: of the engine's server.
        key: the only one that it takes.

    Raises:
        BackendUnavailable: the engine is gone.
        ServerError: it does not count after all.
    """
    place = urlsplit(address)
    asked = {"content": text, "add_special": False, "parse_special": True}
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_PATIENCE)
    try:
        body = json.dumps(asked, ensure_ascii=False).encode("utf-8", "replace")  # half a surrogate pair is no text
        connection.request("POST", "/tokenize", body, {"Authorization": f"Bearer {key}"})
        answer = connection.getresponse().read()
        return len(json.loads(answer)["tokens"])
    except (OSError, http.client.HTTPException) as exc:
        raise BackendUnavailable(f"llama.cpp in this process was closed ({exc}).", hint="Ask again.") from exc
    except (ValueError, LookupError, TypeError) as exc:
        raise ServerError("llama.cpp in this process does not count tokens.", hint="Get a newer xllamacpp.") from exc
    finally:
        connection.close()
