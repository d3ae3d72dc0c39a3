"""What a visitor of the page does and sees."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Response, expect

from annotator.client import Client

DESKTOP = (1280, 800)
PHONE = (390, 844)
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
ANNOTATE = "**/v1/annotate"
SEVERAL = ["I love this song", "you are such a fool", "What is the capital of Peru?"]

Visit = Callable[..., Page]
"""`visit(size, scheme, prepare)` opens the page; `prepare(page)` runs before anything is loaded."""


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
