"""Where the MQTT broker is, and who asks: an address, TLS, and credentials out of a file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from thermoflop.base.record import record
from thermoflop.errors import InputError, UsageError
from thermoflop.pico.wire import printable

PORTS = {"mqtt": 1883, "mqtts": 8883}
_MOST_BYTES = 65536


@record
class Broker:
    """A broker; ``ca`` is a file of certificates, None for those that the system trusts."""

    host: str
    port: int
    tls: bool
    ca: Path | None = None
    username: str | None = None
    password: str | None = None

    @property
    def address(self) -> str:
        """As it is shown: without credentials."""
        return f"{self.host}:{self.port}"


def read_broker(url: str, credentials: Path | None = None, ca: Path | None = None) -> Broker:
    """The broker at ``mqtt://host[:port]`` or ``mqtts://host[:port]``.

    UsageError for any other address, InputError for a file that cannot be read.
    """
    try:
        parts = urlsplit(url if "://" in url else f"mqtt://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in PORTS or parts.path.strip("/") or parts.query:
        shown = printable(url.rpartition("@")[2])[:100]
        raise UsageError(f"--broker {shown!r}: expected mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")
    if "@" in parts.netloc:
        raise UsageError(
            "--broker holds credentials, which every user of this machine can see while it runs: "
            "put username and password into a file and name it with --credentials"
        )
    if ca is not None and not ca.is_file():
        raise InputError(f"--ca {printable(str(ca))} is no file of certificates")
    username, password = (None, None) if credentials is None else _credentials(credentials)
    tls = parts.scheme == "mqtts" or ca is not None
    return Broker(host, port or PORTS[parts.scheme], tls, ca, username, password)


def _credentials(path: Path) -> tuple[str, str]:
    """Username and password out of a TOML file; what stands in it is in no message."""
    name = printable(str(path))
    try:
        with path.open("rb") as file:
            data = tomllib.loads(file.read(_MOST_BYTES).decode())
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error
    except ValueError:  # UnicodeDecodeError and TOMLDecodeError are such; theirs quote the file
        raise InputError(f'{name} is not TOML: expected username = "..." and password') from None
    username, password = data.get("username"), data.get("password", "")
    if not isinstance(username, str) or not isinstance(password, str) or not username:
        raise InputError(f'{name}: expected username = "..." and password = "..."')
    return username, password
