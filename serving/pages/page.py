"""The page at `/`, and below /page/ what it loads. Knows nothing of what the page shows."""

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import NoSuchPath

FOLDER = Path(__file__).parent / "page"
INDEX = "index.html"
TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}

# Where the HTML has it, the assets' addresses hold their version. A module loads others from beside itself.
PLACEHOLDER = b"{version}"

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
ALWAYS_ASK = {"Cache-Control": "no-cache"}
KEEP_FOR_A_YEAR = {"Cache-Control": "public, max-age=31536000, immutable"}


def is_page(path: str) -> bool:
    """Whether a path is the page's. It needs no API key: a browser has none to send before the page can ask for it."""
    return path == "/" or path.startswith("/page/")


def routes() -> list[Route]:
    """`/` and `/page/<version>/<file>`; the files are read once, here."""
    files = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}
    current = hashlib.sha256(b"".join(files.values())).hexdigest()[:12]
    html = files.pop(INDEX).replace(PLACEHOLDER, current.encode())

    async def index(_: Request) -> Response:
        return _response(INDEX, html, ALWAYS_ASK)

    async def asset(request: Request) -> Response:
        version, name = request.path_params["version"], request.path_params["name"]
        if name not in files:
            raise NoSuchPath(f"nothing is served at {request.url.path}")
        # During an update a page may come from one replica and its assets from another: that must work, and not last.
        return _response(name, files[name], KEEP_FOR_A_YEAR if version == current else ALWAYS_ASK)

    return [Route("/", index), Route("/page/{version}/{name}", asset)]


def _response(name: str, content: bytes, caching: dict[str, str]) -> Response:
    return Response(content, media_type=TYPES[Path(name).suffix], headers=SECURITY | caching)
