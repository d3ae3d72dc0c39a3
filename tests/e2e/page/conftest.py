"""A real browser on the real service's page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import chromium
from tests.e2e.page.visit import Visit, visiting


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def visit(browser: Browser, service: str) -> Iterator[Visit]:
    with visiting(browser, service) as opens:
        yield opens
