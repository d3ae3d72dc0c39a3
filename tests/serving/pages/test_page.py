import re
import tomllib
from fnmatch import fnmatch

import httpx
import pytest

from graph.tasks import load_tasks
from serving.pages import docs, page
from serving.settings import PROJECT
from tests import TASKS_FILE

FILES = sorted(path.name for path in page.FOLDER.iterdir())
ASSETS = [name for name in FILES if name != page.INDEX]
POLICY = {
    "default-src": {"'none'"},
    "script-src": {"'self'"},
    "style-src": {"'self'"},
    "connect-src": {"'self'"},
    "img-src": {"'self'", "data:"},
    "base-uri": {"'none'"},
    "form-action": {"'none'"},
    "frame-ancestors": {"'none'"},
}


async def loaded(client: httpx.AsyncClient) -> dict[str, str]:
    """What the HTML refers to: name of a file to its address."""
    html = (await client.get("/")).text
    addresses = re.findall(r'(?:href|src)="(page/[^"]+)"', html)
    assert len(addresses) >= 4
    return {address.rpartition("/")[2]: f"/{address}" for address in addresses}


async def test_the_page_is_html_that_is_asked_for_anew_each_time(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert "{version}" not in answer.text


async def test_what_the_page_loads_is_there_and_may_be_kept(client: httpx.AsyncClient) -> None:
    for name, address in (await loaded(client)).items():
        answer = await client.get(address)
        assert answer.status_code == 200, name
        assert answer.headers["content-type"].split(";")[0] == page.TYPES[f".{name.rpartition('.')[2]}"]
        assert "immutable" in answer.headers["cache-control"]


async def test_every_file_of_the_folder_is_served_as_it_is(client: httpx.AsyncClient) -> None:
    version = (await loaded(client))["page.js"].split("/")[2]
    for name in ASSETS:
        answer = await client.get(f"/page/{version}/{name}")
        assert answer.content == (page.FOLDER / name).read_bytes()


async def test_what_the_page_loads_and_nothing_else_is_public(client: httpx.AsyncClient) -> None:
    assert all(page.is_page(path) for path in ["/", *(await loaded(client)).values()])
    for path in ("/v1/tasks", "/v1/annotate", "/model", "/health", "//v1/tasks", "/page", ""):
        assert not page.is_page(path)
    # What looks like a file of the page and leads elsewhere does not arrive there.
    assert (await client.get("/page/%2e%2e/v1/tasks")).status_code == 404


async def test_of_another_version_there_is_the_present_one_which_is_not_kept(client: httpx.AsyncClient) -> None:
    answer = await client.get("/page/0123456789ab/page.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/page",
        "/page/",
        "/page/page.js",
        "/page/1/",
        "/page/1/nothing.js",
        "/page/1/index.html",
        "/page/1/..%2Fpage.py",
        "/page/1/%2e%2e/page.py",
        "/index.html",
    ],
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "no_such_path"


async def test_the_page_takes_no_posts(client: httpx.AsyncClient) -> None:
    assert (await client.post("/")).status_code == 405
    assert (await client.head("/")).status_code == 200


@pytest.mark.parametrize("path", ["/", *(f"/page/1/{name}" for name in ASSETS)])
async def test_every_answer_forbids_what_the_page_does_not_need(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    directives = (directive.split() for directive in headers["content-security-policy"].split(";"))
    assert {name: set(sources) for name, *sources in directives} == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("name", FILES)
def test_nothing_comes_from_elsewhere(name: str) -> None:
    text = (page.FOLDER / name).read_text("utf-8")
    names_of_formats = {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"')]*", text)) <= names_of_formats
    assert not re.search(r"@import|\burl\(", text)


def test_the_html_holds_neither_scripts_nor_styles() -> None:
    html = (page.FOLDER / page.INDEX).read_text("utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", html) == []


def test_modules_import_what_is_there() -> None:
    for name in FILES:
        imported = re.findall(r'^import .* from "(.*)";$', (page.FOLDER / name).read_text("utf-8"), re.MULTILINE)
        assert {path.removeprefix("./") for path in imported} <= set(FILES), name


def test_every_id_that_the_scripts_look_for_is_in_the_html() -> None:
    html = (page.FOLDER / page.INDEX).read_text("utf-8")
    there = set(re.findall(r'\bid="([^"]+)"', html))
    assert len(there) == len(re.findall(r'\bid="', html))
    asked = set()
    for path in page.FOLDER.glob("*.js"):
        asked |= set(re.findall(r'(?:\bat|getElementById)\("([a-z]+)"\)', path.read_text("utf-8")))
    assert len(asked) > 15
    assert asked <= there


def test_the_page_knows_no_task() -> None:
    tasks = load_tasks(TASKS_FILE)
    for path in page.FOLDER.iterdir():
        text = path.read_text("utf-8")
        assert [task.name for task in tasks if task.name in text] == [], path.name


def test_an_installation_has_the_files() -> None:
    setuptools = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    patterns = setuptools["package-data"]["serving.pages"]
    for path in (*page.FOLDER.iterdir(), *docs.FOLDER.iterdir()):
        assert any(fnmatch(f"{path.parent.name}/{path.name}", pattern) for pattern in patterns)
    assert {f".{name.rpartition('.')[2]}" for name in FILES} <= set(page.TYPES)
