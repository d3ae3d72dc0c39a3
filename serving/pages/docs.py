"""The page at `/docs`: Swagger UI over /openapi.json, from this service alone."""

from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from serving.errors import NoSuchPath
from serving.pages.page import SECURITY, TYPES

FOLDER = Path(__file__).parent / "docs"
SWAGGER_UI = Path(str(files("fastapi_swagger") / "resources"))

ASSETS = {
    path.name: path
    for path in (FOLDER / "start.js", SWAGGER_UI / "swagger-ui-bundle.js", SWAGGER_UI / "swagger-ui.css")
}

# The package that carries Swagger UI may change under the same address.
HEADERS = SECURITY | {"Cache-Control": "public, max-age=3600"}


def routes() -> list[Route]:
    """`/docs` and `/docs/<file>`; the files are large, seldom wanted, and so not kept in memory."""

    async def index(_: Request) -> Response:
        return _file(FOLDER / "index.html")

    async def asset(request: Request) -> Response:
        path = ASSETS.get(request.path_params["name"])
        if path is None:
            raise NoSuchPath(f"nothing is served at {request.url.path}")
        return _file(path)

    return [Route("/docs", index), Route("/docs/{name}", asset)]


def _file(path: Path) -> Response:
    return FileResponse(path, media_type=TYPES[path.suffix], headers=HEADERS)
