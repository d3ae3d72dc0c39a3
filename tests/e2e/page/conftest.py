"""A real browser on the real service's page."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.e2e.browser import PATIENCE, chromium
from tests.e2e.page.visit import DESKTOP, Visit

TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => violated(`${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def visit(browser: Browser, service: str) -> Iterator[Visit]:
    """Opens the page, and sees at the end that it neither reached elsewhere nor tried what its policy forbids."""
    contexts: list[BrowserContext] = []
    requested: list[str] = []
    faults: list[str] = []

    def open_page(size: tuple[int, int] = DESKTOP, scheme: Any = "light", prepare: Any = None) -> Page:
        width, height = size
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        context.expose_function("violated", lambda what: faults.append(what))
        context.add_init_script(TELL_VIOLATIONS)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: requested.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        if prepare is not None:
            prepare(page)
        page.goto(service)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []
    assert requested
    assert [url for url in requested if not url.startswith((f"{service}/", "data:", f"blob:{service}/"))] == []
