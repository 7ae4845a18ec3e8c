"""Settings of one server: where it listens, the folder of runs, its board and its GPU source."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path

from thermoflop.pico.simulated.tcpport import is_loopback

DEFAULT_PORT = 8760


@dataclass
class Site:
    """Settings of one server."""

    runs: Path = field(default_factory=lambda: Path("runs"))
    board_port: str | None = None
    gpu: str = "auto"
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = None

    def protect(self) -> None:
        """Make an access token when other machines can reach the page."""
        if not is_loopback(self.host):
            self.token = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """The URL to open, with the token if there is one."""
        host = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        host = f"[{host}]" if ":" in host else host
        end = f"/?token={self.token}" if self.token else "/"
        return f"http://{host}:{self.port}{end}"
