"""What docs/operations.md says listens, and what does."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from serving.lifecycle.processes import our_processes
from serving.settings import PROJECT

LISTEN = "0A"  # in /proc/net/tcp
LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


@dataclass(frozen=True)
class Listener:
    process: str
    port: int
    interface: str


@dataclass(frozen=True)
class Row:
    processes: list[str]
    ports: list[range] | None
    interface: str

    def allows(self, listener: Listener) -> bool:
        # The kernel keeps 15 characters of a name.
        named = any(listener.process.startswith(name[:15]) for name in self.processes)
        port = self.ports is None or any(listener.port in ports for ports in self.ports)
        return named and port and listener.interface == self.interface


def documented() -> list[Row]:
    section = (PROJECT / "docs" / "operations.md").read_text("utf-8").partition("## What listens")[2]
    rows = []
    for processes, ports, interface in re.findall(r"^\| (`.*?`) \| (.*?) \| (loopback|all) \|", section, re.MULTILINE):
        spans = [(span.split("-") * 2)[:2] for span in ports.split(", ")] if ports != "any" else None
        ranges = [range(int(low), int(high) + 1) for low, high in spans] if spans else None
        rows.append(Row(re.findall(r"`(.*?)`", processes), ranges, interface))
    return rows


def listening() -> set[Listener]:
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            address, port = local.split(":")
            if state == LISTEN:
                sockets[f"socket:[{rest[5]}]"] = (int(port, 16), "loopback" if address in LOOPBACK else "all")
    found = set()
    for pid in our_processes():
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:  # it ended meanwhile
            continue
        found |= {Listener(name, *sockets[link]) for link in links if link in sockets}
    return found


def test_exactly_what_is_documented_listens(service: str) -> None:
    assert httpx.get(f"{service}/ready", timeout=30).status_code == 200
    rows, listeners = documented(), listening()
    time.sleep(3)
    listeners &= listening()  # what is just being started has no name of its own yet
    assert len(listeners) > 15
    for listener in listeners:
        assert any(row.allows(listener) for row in rows), f"{listener} is not documented"
    for row in rows:
        assert any(row.allows(listener) for listener in listeners), f"{row} does not listen"


def test_pages_of_other_origins_cannot_read_answers(service: str) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "POST"):
        answer = httpx.request(method, f"{service}/model", headers=asked, json={"sentences": ["hi"]}, timeout=30)
        assert not any(name.startswith("access-control-") for name in answer.headers)
