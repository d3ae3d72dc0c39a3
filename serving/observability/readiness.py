"""Whether the process lives, and whether an utterance goes through the whole graph.

GET /health  ->  {"status": "alive"}
GET /ready   ->  {"status": "ready"}, or the error that kept an utterance from being annotated
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.annotator import Annotator

PROBE = "hello there"


def routes(annotator: Annotator) -> list[Route]:
    """The two routes over what annotates."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_: Request) -> Response:
        await check_ready(annotator)
        return JSONResponse({"status": "ready"})

    return [Route("/health", health), Route("/ready", ready)]


async def check_ready(annotator: Annotator) -> None:
    """Raise AnnotatorError unless a real utterance can be annotated now."""
    await annotator([PROBE])
