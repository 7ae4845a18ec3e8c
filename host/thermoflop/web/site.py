"""What one server knows: where it listens, where runs are, which board and GPU it was given."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_PORT = 8760


@dataclass
class Site:
    """The settings of one server."""

    runs: Path = field(default_factory=lambda: Path("runs"))
    board_port: str | None = None
    gpu: str = "auto"
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = None

    @property
    def url(self) -> str:
        """The address to open, with the token where one is needed."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        end = f"/?token={self.token}" if self.token else "/"
        return f"http://{host}:{self.port}{end}"
