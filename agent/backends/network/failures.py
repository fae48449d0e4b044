"""What went wrong with a request over the network: exceptions of httpx as errors of ours."""

from __future__ import annotations

from collections.abc import Mapping

from gemmagraph.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    BadRequest,
    ServerError,
    TruncatedReply,
)


def failures() -> tuple[type[Exception], ...]:
    """All that httpx raises."""
    import httpx

    return httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError


def translated(exc: Exception, label: str, *, received: int = 0, down: str = "") -> BackendError:
    """The error of ours for an exception of httpx.

    Args:
        received: bytes of the reply that had come.
        down: what to do when nothing answers.
    """
    kind = next(KINDS[base.__name__] for base in type(exc).__mro__ if base.__name__ in KINDS)
    words = str(exc) or type(exc).__name__
    if kind is BackendUnavailable and "SSL" in words:
        hint = (
            "Name what signed its certificate in SSL_CERT_FILE." if "CERTIFICATE" in words else "Try http:// instead."
        )
        return kind(f"{label} cannot be reached over HTTPS ({words}).", hint=hint)
    if kind is BackendUnavailable:
        return kind(f"{label} cannot be reached ({words}).", hint=down)
    if kind is TruncatedReply and received:
        return kind(f"The connection to {label} broke after {received:,} bytes of the reply ({words}).")
    if kind is TruncatedReply:
        return BackendUnavailable(f"{label} closed the connection before it answered ({words}).", hint=down)
    if kind is BackendTimeout:
        return kind(f"{label} did not answer in time ({words}).")
    if kind is BadRequest:
        return kind(f"No request can be sent to {label} ({words}).", hint="Check its address and the API key.")
    return kind(
        f"What {label} sent cannot be understood ({words}).",
        hint="Check its address; a proxy in between may have changed what it sent.",
    )


KINDS: Mapping[str, type[BackendError]] = {
    "ConnectError": BackendUnavailable,
    "ConnectTimeout": BackendUnavailable,
    "ProxyError": BackendUnavailable,
    "TimeoutException": BackendTimeout,
    "NetworkError": TruncatedReply,
    "RemoteProtocolError": TruncatedReply,
    "StreamError": TruncatedReply,
    "LocalProtocolError": BadRequest,
    "UnsupportedProtocol": BadRequest,
    "InvalidURL": BadRequest,
    "HTTPError": ServerError,
    "CookieConflict": ServerError,
}
"""httpx's exceptions by name, since httpx is loaded on use; one not named is what its nearest base is."""
