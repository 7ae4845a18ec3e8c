"""What others may try against a running page, and what they get."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from kit import website
from thermoflop.web.server.server import MAX_LOGGED

pytestmark = pytest.mark.skipif(bool(website.no_server()), reason=website.no_server())

PATHS = [
    "/",
    "/live",
    "/runs",
    "/assets/site.css",
    "/_nicegui_ws/socket.io/?EIO=4&transport=polling",
]
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
SOCKETS = ["/live/stream", "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[website.Site]:
    """A server for this machine only."""
    runs = tmp_path_factory.mktemp("attacked") / "runs"
    with website.Site(runs, "--gpu", "none") as running:
        yield running


@pytest.fixture(scope="module")
def open_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[website.Site]:
    """A server that others can reach, with its token."""
    runs = tmp_path_factory.mktemp("open") / "runs"
    with website.Site(runs, "--gpu", "none", "--host", "0.0.0.0") as running:  # noqa: S104
        yield running


def ask(
    site: website.Site, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of one request."""
    port = urlsplit(site.url).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=named)
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, text


def own_host(site: website.Site) -> str:
    """The Host header of a page that was opened as it was printed."""
    return f"127.0.0.1:{urlsplit(site.url).port}"


@pytest.mark.parametrize("path", PATHS)
def test_a_name_that_was_rebound_to_this_machine_is_refused(site: website.Site, path: str) -> None:
    port = urlsplit(site.url).port
    for host in (
        f"evil.example:{port}",
        "evil.example",
        f"127.0.0.1.evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"user@127.0.0.1:{port}",
        "",
        f"[::1:{port}",
        "a b",
    ):
        assert ask(site, path, Host=host)[0] in (400, 421), host
    assert ask(site, path, Host=own_host(site))[0] == 200
    assert ask(site, path, Host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize("path", PATHS)
def test_what_another_site_asks_for_is_refused(site: website.Site, path: str) -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "file://"):
        assert ask(site, path, "POST", Origin=origin, Content_Length="0")[0] == 403
        assert ask(site, path, Origin=origin)[0] == 403
    assert ask(site, path, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    assert ask(site, path, "POST", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 403
    assert ask(site, path, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200


@pytest.mark.parametrize("path", SOCKETS)
def test_a_websocket_opens_for_the_page_alone(site: website.Site, path: str) -> None:
    same = f"http://{own_host(site)}"
    assert ask_socket(site, path, Origin=same) == 101
    assert ask_socket(site, path, Origin="http://evil.example") == 403
    assert ask_socket(site, path, Origin="null") == 403
    assert ask_socket(site, path, Host="evil.example", Origin="http://evil.example") == 403


def ask_socket(site: website.Site, path: str, **headers: str) -> int:
    """The status of an attempt to open a websocket."""
    named = {"Host": own_host(site), **UPGRADE, **headers}
    lines = [f"GET {path} HTTP/1.1", *(f"{k}: {v}" for k, v in named.items()), "", ""]
    with socket.create_connection(("127.0.0.1", urlsplit(site.url).port), timeout=20) as raw:
        raw.sendall("\r\n".join(lines).encode())
        return int(raw.recv(1024).split(b" ")[1])


def test_a_gigabyte_is_refused_before_it_is_sent(site: website.Site) -> None:
    port = urlsplit(site.url).port
    head = f"POST /_nicegui/upload HTTP/1.1\r\nHost: {own_host(site)}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        raw.sendall((head + f"Content-Length: {1 << 30}\r\n\r\n").encode())
        assert b" 413 " in raw.recv(1024)  # not one byte of the body was sent
    sent = send_chunks(port, head + "Transfer-Encoding: chunked\r\n\r\n")
    assert sent < 64 << 20  # what the buffers between us took before the answer came


def send_chunks(port: int | None, head: str) -> int:
    """Bytes of an endless body that were taken before the connection was refused."""
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        raw.sendall(head.encode())
        try:
            while sent < 1 << 30:
                raw.sendall(chunk)
                sent += 0x10000
        except OSError:
            return sent
    return sent


def test_without_the_token_nothing_is_answered(open_site: website.Site) -> None:
    host = own_host(open_site)
    for path in [*PATHS, "/?token=", "/?token=wrong", "/live?token=" + "x" * 32]:
        status, headers, text = ask(open_site, path, Host=host)
        assert status == 401, path
        assert "set-cookie" not in headers
        assert "thermoflop" not in text
    cookie = f"thermoflop-{urlsplit(open_site.url).port}=wrong"
    assert ask(open_site, "/", Host=host, Cookie=cookie)[0] == 401
    assert ask(open_site, "/", Host=host, Cookie='"=;;;=a;b="')[0] == 401
    for path in SOCKETS:
        assert ask_socket(open_site, path) == 403
        assert ask_socket(open_site, path, Cookie=cookie) == 403


def test_the_token_becomes_a_cookie_that_no_script_and_no_other_site_can_use(
    open_site: website.Site,
) -> None:
    host = own_host(open_site)
    token = re.search(r"token=(\S+)", open_site.url)
    assert token is not None
    status, headers, _ = ask(open_site, f"/live?a=1&token={token[1]}", Host=host)
    assert (status, headers["location"]) == (303, "/live?a=1")
    cookie, *flags = headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(flags)
    assert ask(open_site, "/live", Host=host, Cookie=cookie)[0] == 200
    assert ask_socket(open_site, "/live/stream", Cookie=cookie) == 101
    status, headers, _ = ask(open_site, f"//evil.example?token={token[1]}", Host=host)
    assert headers["location"] == "/evil.example"


def test_a_foreign_name_is_refused_with_the_right_token_too(open_site: website.Site) -> None:
    token = open_site.url.split("token=")[1]
    port = urlsplit(open_site.url).port
    assert ask(open_site, f"/?token={token}", Host=f"evil.example:{port}")[0] == 421
    assert ask(open_site, f"/?token={token}", Host=f"192.0.2.7:{port}")[0] == 303


@pytest.mark.parametrize("path", ["/", "/live", "/runs"])
def test_a_page_s_policy_lets_nothing_run_that_the_server_did_not_write(
    site: website.Site, path: str
) -> None:
    _, headers, text = ask(site, path, Host=own_host(site))
    policy = headers["content-security-policy"]
    scripts = re.search(r"script-src ([^;]*)", policy)
    assert scripts is not None
    assert "'unsafe-inline'" not in scripts[1]
    nonce = re.search(r"'nonce-([^']+)'", scripts[1])
    assert nonce is not None
    tags = re.findall(r"<script[^>]*>", text)
    assert tags
    assert all(f'nonce="{nonce[1]}"' in tag for tag in tags)
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    again = ask(site, path, Host=own_host(site))[1]["content-security-policy"]
    assert again != policy


@pytest.mark.parametrize(
    "path",
    ["/assets/../server.py", "/assets/%2e%2e/server.py", "/assets/..%2fserver.py",
     "/assets//etc/passwd", "/assets/....//server.py", "/assets/..%5cserver.py"],
)  # fmt: skip
def test_a_path_does_not_lead_out_of_the_assets(site: website.Site, path: str) -> None:
    status, _, text = ask(site, path, Host=own_host(site))
    assert status in (400, 404)
    assert "import" not in text


def test_a_markup_query_is_not_a_part_of_the_page(site: website.Site) -> None:
    evil = "%3Cscript%3Ealert(1)%3C/script%3E"
    for path in (f"/?q={evil}", f"/live?{evil}={evil}", f"/nothing-here/{evil}"):
        assert "<script>alert" not in ask(site, path, Host=own_host(site))[2]


def test_a_client_that_says_nothing_holds_up_nobody(site: website.Site) -> None:
    port = urlsplit(site.url).port
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    assert ask(site, "/live", Host=own_host(site))[0] == 200  # or it would never answer
    for connection in silent:
        connection.close()


def test_an_address_cannot_paint_the_terminal(site: website.Site) -> None:
    for path in ("/%1b[31mred%1b]0;title%07", "/runs/%1b[2J/report", "/live?%1b[31m=%1b[31m"):
        ask(site, path, Host=own_host(site))
    ask_socket(site, "/live/%1b[31m/stream")
    assert "\x1b" not in site.said()
    assert "\x07" not in site.said()


def test_an_origin_that_is_no_address_is_refused_and_not_a_failure(site: website.Site) -> None:
    for origin in ("http://[::1", "http://[x]/", "//[", "\xff"):
        assert ask(site, "/", Origin=origin)[0] == 403
    assert "Traceback" not in site.said()


def test_a_page_is_not_built_for_another_site_s_frame(site: website.Site) -> None:
    navigating = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert ask(site, "/", Sec_Fetch_Dest="iframe", **navigating)[0] == 403
    assert ask(site, "/", Sec_Fetch_Dest="document", **navigating)[0] == 200


def test_the_cookies_of_other_servers_do_not_hide_ours(open_site: website.Site) -> None:
    """A browser sends the cookies of every port of a machine, whatever is in them."""
    host, token = own_host(open_site), open_site.url.split("token=")[1]
    ours = f"thermoflop-{urlsplit(open_site.url).port}={token}"
    for cookie in (f'a b=1; {ours}; c={{"d":1}}', f"=;;\xff=\xff;{ours}", f"{ours[:-1]}; {ours}"):
        assert ask(open_site, "/runs", Host=host, Cookie=cookie)[0] == 200, cookie


def test_the_way_on_from_the_token_stays_on_this_server(open_site: website.Site) -> None:
    host, token = own_host(open_site), open_site.url.split("token=")[1]
    for path in ("/%09/evil.example", "/%0d%0aSet-Cookie%3a%20a%3db", "/%e2%82%ac", "/a%3fb%23c"):
        status, headers, _ = ask(open_site, f"{path}?token={token}", Host=host)
        assert (status, headers["location"].lower()) == (303, path.lower())
    assert "Traceback" not in open_site.said()


def test_a_name_longer_than_names_can_be_is_no_run(site: website.Site) -> None:
    site.runs.mkdir(exist_ok=True)
    for path in (f"/runs/{'a' * 300}/report", f"/runs/compare?run={'a' * 5000}&run=b"):
        status, _, text = ask(site, path)
        assert status == 404
        assert "There is no run" in text
        assert "a" * 101 not in text


def test_a_browser_that_was_sent_here_gets_a_page_that_goes_on_and_the_cookie(
    open_site: website.Site,
) -> None:
    """From a file or another site: it would send a strict cookie along to no redirect."""
    host, token = own_host(open_site), open_site.url.split("token=")[1]
    sent = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    status, headers, text = ask(open_site, f"/live?a=%22b&token={token}", Host=host, **sent)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert 'content="0;url=/live?a=%22b"' in text
    assert token in headers["set-cookie"]
    assert token not in text
    assert ask(open_site, "/live?token=wrong", Host=host, **sent)[0] == 401


def say(raw: socket.socket, text: str) -> None:
    """One text message on a websocket, masked as a client must."""
    data = text.encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    raw.sendall(b"\x81" + size + b"\0\0\0\0" + data)


MALFORMED = ['42["event"', '42["event",[]]', '42["event",{"id":[]}]', "42{}", "451-[", "4", "9x",
             '40{"a"', '42["handshake",1]', '42["event",{"client_id":{},"id":"x"}]',
             '42["ack",{}]', '42["log_message"]', '42["javascript_response",7]']  # fmt: skip


def test_malformed_messages_do_not_fill_the_terminal(site: website.Site) -> None:
    """Each may be worth a traceback; a few are printed a minute."""
    origin = f"http://{own_host(site)}"
    named = {"Host": own_host(site), **UPGRADE, "Origin": origin}
    lines = [f"GET {SOCKETS[1]} HTTP/1.1", *(f"{k}: {v}" for k, v in named.items()), "", ""]
    for message in MALFORMED * 6:
        with socket.create_connection(("127.0.0.1", urlsplit(site.url).port), timeout=20) as raw:
            raw.sendall("\r\n".join(lines).encode())
            assert b" 101 " in raw.recv(1024)
            try:
                say(raw, "40")
                for _ in range(3):
                    say(raw, message)
                raw.settimeout(0.05)
                raw.recv(1 << 16)
            except OSError:
                continue
    assert ask(site, "/live", Host=own_host(site))[0] == 200
    assert len(site.said()) < 100_000
    assert site.said().count("Traceback") <= 2 * 2 * MAX_LOGGED  # over two minutes, one in another
