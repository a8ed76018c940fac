"""One server of the demo: where it listens, whether it is well, and why its port cannot be had."""

from __future__ import annotations

import errno
import http.client
import json
import sys
from dataclasses import dataclass
from typing import Any

from clickstream import ports


@dataclass(frozen=True, slots=True)
class Service:
    """One server of the demo."""

    name: str
    script: str
    host: str
    port: int
    health: str
    setting: str

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def get(self, path: str, *, token: str = "", timeout_s: float = 1.0) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of a GET; status 0 while nobody answers."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=timeout_s)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            body = json.loads(answer.read())
            return answer.status, body if isinstance(body, dict) else {}
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        finally:
            connection.close()


def port_problem(service: Service, reason: OSError) -> str:
    """One line for a person: the port, why it cannot be used, and who holds it."""
    what = f"Port {service.port} ({service.name})"
    if reason.errno == errno.EACCES:
        return f"{what} may only be used by an administrator."
    if reason.errno != errno.EADDRINUSE:
        return f"{what} cannot be used on {service.host}: {reason.strerror or reason}."
    holder = ports.owner(service.port)
    by = f" by process {holder.pid}: {holder.command}" if holder else " by a process that this user cannot see"
    airplay = sys.platform == "darwin" and service.port in {5000, 7000}
    hint = " On macOS this is often the AirPlay Receiver (System Settings, AirDrop & Handoff)." if airplay else ""
    return f"{what} is taken{by}.{hint}"
