"""GET /metrics: what Prometheus reads, for the whole cluster, whichever replica is asked.

Every node of Ray exports the metrics of all processes on it. They are gathered here from all nodes, and ours and
Serve's are kept of them, so that one address behind a load balancer gives the same picture every time. In a cluster
where Prometheus reaches the nodes it may as well read them itself: names and labels are the same.
"""

import asyncio
import logging
import time
import urllib.request
from collections.abc import Iterable
from typing import Any

import ray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import Unavailable

logger = logging.getLogger("ray.serve")

KEPT = ("ray_annotator_", "ray_serve_")
MEDIA_TYPE = "text/plain"
NODE_SECONDS = 5
# Ray itself looks every ten seconds; within this time everybody gets the same text.
FRESH_SECONDS = 1.0


def routes() -> list[Route]:
    """The route."""
    gathering = asyncio.Lock()
    text = ""
    gathered = float("-inf")

    async def metrics(_: Request) -> Response:
        nonlocal text, gathered
        async with gathering:
            if time.monotonic() - gathered > FRESH_SECONDS:
                text = join(await asyncio.to_thread(node_texts))
                gathered = time.monotonic()
        return Response(text, headers={"Content-Type": f"{MEDIA_TYPE}; version=0.0.4; charset=utf-8"})

    return [Route("/metrics", metrics)]


def node_texts() -> list[str]:
    """What each living node exports; a node that does not answer is left out.

    Raises:
        Unavailable: none answers.
    """
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    texts: list[str] = []
    for node in nodes:
        if not node["Alive"]:
            continue
        address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        try:
            with urllib.request.urlopen(address, timeout=NODE_SECONDS) as answer:
                texts.append(answer.read().decode())
        except OSError as error:
            logger.warning("no metrics from %s: %s", address, error)
    if not texts:
        raise Unavailable("no node exports metrics")
    return texts


def join(texts: Iterable[str]) -> str:
    """One exposition out of several: each family once, with its samples from all of them, and only what is `KEPT`."""
    families: dict[str, list[str]] = {}
    for text in texts:
        known = set(families)
        family = ""
        for line in text.splitlines():
            if line.startswith("# "):
                family = line.split(" ", 3)[2]
            if family.startswith(KEPT) and not (line.startswith("# ") and family in known):
                families.setdefault(family, []).append(line)
    return "".join(f"{line}\n" for lines in families.values() for line in lines)
