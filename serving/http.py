"""The ASGI application: all routes over one annotator, and the errors that they raise as JSON. Knows no Ray."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from serving import annotate, description, inference_protocol, original
from serving.annotator import Annotator
from serving.description import Description
from serving.errors import AnnotationFailed, AnnotatorError, NoSuchPath, WrongMethod
from serving.middleware.access import Access
from serving.middleware.clock_header import ClockHeader
from serving.middleware.keys import Keys
from serving.middleware.last_resort import LastResort
from serving.middleware.request_metrics import CLIENT_GONE, RequestMetrics
from serving.observability import exposition, readiness
from serving.observability.metrics import count_error
from serving.pages import docs, openapi, page


def http_app(annotator: Annotator, model: Description, keys: Keys | None = None) -> ASGIApp:
    """The ASGI application.

    Args:
        annotator: what annotates.
        model: what is said of the model.
        keys: who may ask; None for everybody.
    """
    application = Starlette(
        routes=[
            *original.routes(annotator),
            *annotate.routes(annotator, model),
            *description.routes(annotator, model),
            *inference_protocol.routes(annotator, model),
            *page.routes(),
            *docs.routes(),
            *openapi.routes(annotator, model),
            *readiness.routes(annotator),
            *exposition.routes(),
        ],
        exception_handlers={
            AnnotatorError: _answer_error,
            HTTPException: _answer_http_exception,
            ClientDisconnect: _answer_nobody,
            Exception: _answer_unexpected,
        },
    )
    # A path is served or not; a redirect would make clients send a body twice.
    application.router.redirect_slashes = False
    # Around all of it and not as Starlette's middleware, which an unexpected error's answer does not pass.
    paths = {route.endpoint: route.path for route in application.routes if isinstance(route, Route)}
    guarded = application if keys is None else Access(application, keys, page.is_page)
    return RequestMetrics(ClockHeader(LastResort(guarded)), paths)


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnnotatorError)
    count_error(error.type)
    return error.response(request.url.path)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    """What Starlette itself raises: there are only unknown paths and wrong methods."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        response = await _answer_error(request, WrongMethod(f"{request.url.path} does not take {request.method}"))
        response.headers.update(error.headers or {})
        return response
    return await _answer_error(request, NoSuchPath(f"nothing is served at {request.url.path}"))


async def _answer_nobody(_: Request, __: Exception) -> Response:
    """Who asked went away in the middle of the body."""
    return Response(status_code=CLIENT_GONE)


async def _answer_unexpected(request: Request, _: Exception) -> Response:
    """Starlette raises the error again behind this answer, for `LastResort`."""
    return await _answer_error(request, AnnotationFailed("the request could not be answered"))
