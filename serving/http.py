"""The ASGI application: all routes over one annotator, and the errors that they raise as JSON. Knows no Ray."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from serving import annotate, description, original, page
from serving.annotator import Annotator
from serving.clock_header import ClockHeader
from serving.description import Description
from serving.errors import AnnotationFailed, AnnotatorError, NoSuchPath, WrongMethod

# What goes through the graph when somebody asks whether it is ready.
PROBE = "hello there"


def http_app(annotator: Annotator, model: Description) -> ASGIApp:
    """The ASGI application.

    Args:
        annotator: what annotates.
        model: what is said of the model.
    """

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_: Request) -> Response:
        await annotator([PROBE])
        return JSONResponse({"status": "ready"})

    application = Starlette(
        routes=[
            *original.routes(annotator),
            *annotate.routes(annotator, model),
            *description.routes(annotator, model),
            *page.routes(),
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
    # Around all of it and not as Starlette's middleware, which an unexpected error's answer does not pass.
    return ClockHeader(application)


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
