"""Access control in front of every page: host, origin, token, size, and the answer's headers.

A page on the local machine can be reached by every web site that the user's browser visits, so:

- the Host header must be one of ours (a name that was rebound to 127.0.0.1 is refused);
- an Origin, where the browser sends one, must be the page's own, on websockets too; requests that
  another site makes are refused, links from there are not;
- with ``--host``, everything needs the token: once in the address, then in a cookie that scripts
  and other sites cannot use; compared in constant time;
- a body is refused as soon as it is known to be too long, before it is read;
- the content security policy lets nothing run that the server did not write, loads nothing from
  elsewhere and frames nothing. NiceGUI compiles its templates in the browser: 'unsafe-eval' stays.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from thermoflop.pico.simulated.tcpport import is_loopback
from thermoflop.web.server.browser import leading_to

if TYPE_CHECKING:
    from thermoflop.web.site import Site

MAX_BODY_BYTES = 4 << 20
LARGE_BYTES = 64 << 10
MAX_LARGE = 2  # at once
TOKEN = "token"  # noqa: S105  # the name of the parameter, not a token
_OURS = {"127.0.0.1", "::1", "localhost"}
_LOOKING = {"GET", "HEAD"}

EmitContext = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[EmitContext, Receive, Send], Awaitable[None]]


class Guard:
    """ASGI middleware that refuses or passes on each request."""

    def __init__(self, app: App, site: Site) -> None:
        """``app`` sees only what may pass."""
        self.app = app
        self._site = site
        self._large = 0  # bodies being read

    async def __call__(self, scope: EmitContext, receive: Receive, send: Send) -> None:
        """Handle one request or websocket."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(scope, receive, send, *refusal)
        elif self._site.token and not self._has_cookie(headers):
            await self._ask_for_token(scope, headers, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, headers, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, scope: EmitContext, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._is_our_host(host):
            return 421, "this address does not belong to the page: open the address it printed"
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host.lower():
            return 403, "another site asked for this: refused"
        elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        link = headers.get("sec-fetch-mode") == "navigate" and scope.get("method") in _LOOKING
        link &= headers.get("sec-fetch-dest", "document") == "document"  # not a frame of theirs
        if elsewhere and not link:
            return 403, "another site asked for this: refused"
        if "transfer-encoding" in headers:  # browsers say how long a body is
            return 411, "the length of what is sent must be said first"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return 413, f"at most {MAX_BODY_BYTES >> 20} MiB can be sent to the page"
        return None

    def _is_our_host(self, host: str) -> bool:
        """Whether a Host header names this server; a foreign one may be DNS rebinding."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = (parts.hostname or "").lower(), parts.port or 80
        except ValueError:
            return False
        if port != self._site.port or "@" in host:
            return False
        if is_loopback(self._site.host):
            return name in _OURS or name == self._site.host.lower()
        expected = {self._site.host.lower(), socket.gethostname().lower(), *_OURS}
        return name in expected or name.removesuffix(".local") in expected or _is_address(name)

    def _has_cookie(self, headers: dict[str, str]) -> bool:
        """Whether our cookie is among those sent; other servers on this host may have set more."""
        pairs = [pair.strip().partition("=") for pair in headers.get("cookie", "").split(";")]
        return any(name == self._cookie_name and self._is_token(value) for name, _, value in pairs)

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), (self._site.token or "").encode())

    @property
    def _cookie_name(self) -> str:
        return f"thermoflop-{self._site.port}"

    async def _ask_for_token(
        self, scope: EmitContext, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        """Exchange a valid token in the URL for the cookie; refuse everything else."""
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = query.pop(TOKEN, [""])[0]
        if scope["type"] != "http" or scope["method"] not in _LOOKING or not self._is_token(given):
            await _refuse(
                scope, receive, send, 401, "open the address with the token that `serve` printed"
            )
            return
        rest = urlencode(query, doseq=True)
        path = "/" + quote(scope["path"].lstrip("/\\"), errors="replace")  # never to another host
        target = path + (f"?{rest}" if rest else "")
        cookie = f"{self._cookie_name}={given}; Path=/; HttpOnly; SameSite=Strict"
        if headers.get("sec-fetch-site") == "cross-site":
            # a browser that was sent here from elsewhere, as from the file of --open, would send
            # the cookie along to no redirect: this page goes on by itself
            kind = (b"content-type", b"text/html; charset=utf-8")
            page = leading_to(target).encode()
            await _say(send, 200, [kind, (b"set-cookie", cookie.encode())], page)
            return
        location = (b"location", target.encode("latin-1", "replace"))
        await _say(send, 303, [location, (b"set-cookie", cookie.encode())], b"")

    async def _answer(
        self, scope: EmitContext, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        """Pass a request on and set the security headers of the answer; of large bodies, whose
        reading holds up all pages, a few at once."""
        is_large = int(headers.get("content-length", "0")) > LARGE_BYTES
        if is_large and self._large >= MAX_LARGE:
            why = f"{MAX_LARGE} files are being sent already: try again in a moment"
            await _refuse(scope, receive, send, 503, why)
            return
        self._large += is_large
        try:
            await self.app(scope, receive, _Answer(send, headers.get("host", "")))
        finally:
            self._large -= is_large


class _Answer:
    """Sends an answer on with our headers; its scripts get a nonce of this answer."""

    def __init__(self, send: Send, host: str) -> None:
        self._send = send
        self._host = host
        self._held: Message | None = None
        self._body = bytearray()
        self._nonce = secrets.token_urlsafe(16)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {bytes(name).lower() for name, _ in message["headers"]}
            expected = _security(self._host, self._nonce)
            more = [(name, value) for name, value in expected if name not in names]
            message["headers"] = [*message["headers"], *more]
            if b"x-nicegui-content" in names:  # hold it back until its scripts are marked
                self._held = message
                return
        elif self._held is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_page(self._held)
            return
        await self._send(message)

    async def _send_page(self, start: Message) -> None:
        """NiceGUI escapes every ``<`` of what it shows, so each script tag is the template's."""
        marked = f'<script nonce="{self._nonce}"'.encode()
        body = bytes(self._body).replace(b"<script", marked)
        kept = [(n, v) for n, v in start["headers"] if bytes(n).lower() != b"content-length"]
        start["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
        self._held = None
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _security(host: str, nonce: str) -> list[tuple[bytes, bytes]]:
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' ws://{host}",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )
    return [
        (b"content-security-policy", policy.encode("latin-1", "replace")),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]


def _headers(scope: EmitContext) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }


def _place(origin: str) -> str | None:
    """Host and port of an Origin header; None for one that is not a URL."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _refuse(scope: EmitContext, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": why})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await _say(send, status, headers, why.encode() + b"\n")


async def _say(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    size = (b"content-length", str(len(body)).encode())
    more = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
    await send(
        {"type": "http.response.start", "status": status, "headers": [*headers, size, *more]}
    )
    await send({"type": "http.response.body", "body": body})
