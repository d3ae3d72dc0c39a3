"""What a visitor of the page does and sees."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Response, expect

from annotator.client import Client
from tests.e2e.browser import PATIENCE

DESKTOP = (1280, 800)
PHONE = (390, 844)
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
ANNOTATE = "**/v1/annotate"
SEVERAL = ["I love this song", "you are such a fool", "What is the capital of Peru?"]

TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => violated(`${event.violatedDirective} ${event.blockedURI}`));
"""

Visit = Callable[..., Page]
"""`visit(size, scheme, prepare)` opens the page; `prepare(page)` runs before anything is loaded."""


@contextmanager
def visiting(browser: Browser, service: str) -> Iterator[Visit]:
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


def type_in(page: Page, text: str) -> None:
    page.get_by_label("Type what somebody says").fill(text)


def ask(page: Page, text: str) -> Response:
    """Type, and wait until the answer to exactly this is shown."""
    last = text.splitlines()[-1]

    def is_the_answer(response: Response) -> bool:
        asked = response.request.post_data_json
        return asked is not None and asked["inputs"][-1] == last

    with page.expect_response(is_the_answer) as answered:
        type_in(page, text)
    wait_for_answer(page)
    return answered.value


def charts(page: Page) -> Locator:
    return page.locator(".chart:visible")


def top(page: Page) -> list[str]:
    """Of each chart, the label in bold as the service calls it."""
    expect(page.locator(".chart:visible .leads")).to_have_count(charts(page).count())
    names: list[str] = page.locator(".chart:visible .leads .label").evaluate_all("(all) => all.map((one) => one.title)")
    return names


def assert_bars_are(chart: Locator, scores: Mapping[str, float]) -> None:
    """All bars that a chart shows are as long as these scores say, and the longest is the first."""
    wait_for_rest(chart.page)
    order = []
    for bar in chart.locator(".bar:visible").all():
        score = scores[bar.locator(".label").get_attribute("title") or ""]
        order.append(score)
        track, fill = bar.locator(".track").bounding_box(), bar.locator(".fill").bounding_box()
        assert track
        assert fill
        length = fill["x"] + fill["width"] - track["x"]
        assert length == pytest.approx(track["width"] * score, abs=1)
    assert order == sorted(scores.values(), reverse=True)


def annotations(service: str, texts: list[str]) -> list[dict[str, dict[str, Any]]]:
    """What the page should show; waits where the service is busy, as the page does."""
    with Client(service) as client:
        return [annotation.model_dump()["tasks"] for annotation in client.annotate(texts)]


def labels(service: str, text: str) -> list[str]:
    return [task["label"] for task in annotations(service, [text])[0].values()]


def wait_for_answer(page: Page) -> None:
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")


def wait_for_rest(page: Page) -> None:
    """Until nothing moves any more."""
    page.evaluate("Promise.allSettled(document.getAnimations().map((animation) => animation.finished))")


def answer_with(page: Page, status: int, error: dict[str, str], times: int, **headers: str) -> None:
    page.route(
        ANNOTATE,
        lambda route: route.fulfill(status=status, json={"error": error}, headers=headers),
        times=times,
    )
