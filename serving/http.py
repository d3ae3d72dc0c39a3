"""Routes of the service over one function that annotates. Knows no Ray."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from graph.merge import Annotation
from serving.errors import AnnotationFailed, AnnotatorError, BodyTooLarge, NoSuchPath, WrongMethod
from serving.wire import batch_model_answer, batch_model_utterances, model_answer, model_utterances

Annotate = Callable[[Sequence[str]], Awaitable[list[Annotation]]]

# What goes through the graph when somebody asks whether it is ready.
PROBE = "hello there"


def http_app(annotate: Annotate, body_bytes: int) -> Starlette:
    """The ASGI application.

    Args:
        annotate: utterances to annotations, rounded as they are answered.
        body_bytes: largest request body.
    """

    async def model(request: Request) -> Response:
        utterances = model_utterances(await _body(request, body_bytes))
        return _json(model_answer(await annotate(utterances)))

    async def batch_model(request: Request) -> Response:
        utterances = batch_model_utterances(await _body(request, body_bytes))
        return _json(batch_model_answer(await annotate(utterances)))

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_: Request) -> Response:
        await annotate([PROBE])
        return JSONResponse({"status": "ready"})

    application = Starlette(
        routes=[
            Route("/model", model, methods=["POST"]),
            Route("/batch_model", batch_model, methods=["POST"]),
            Route("/health", health),
            Route("/ready", ready),
        ],
        exception_handlers={
            AnnotatorError: _answer_error,
            HTTPException: _answer_http_exception,
            Exception: _answer_unexpected,
        },
    )
    # A path is served or not; a redirect would make clients send a body twice.
    application.router.redirect_slashes = False
    return application


async def _body(request: Request, limit: int) -> bytes:
    """The whole body, given up as soon as it is larger than the limit."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge(f"the body may have at most {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


async def _answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, AnnotatorError)
    return error.response()


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    """What Starlette itself raises: there are only unknown paths and wrong methods."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        response = WrongMethod(f"{request.url.path} does not take {request.method}").response()
        response.headers.update(error.headers or {})
        return response
    return NoSuchPath(f"nothing is served at {request.url.path}").response()


async def _answer_unexpected(_: Request, __: Exception) -> Response:
    """Starlette raises the error again behind this answer, and so it is logged."""
    return AnnotationFailed("the request could not be answered").response()
