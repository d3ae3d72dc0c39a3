"""What a visitor sees when the service is busy, broken, closed or away."""

import re
import time

from playwright.sync_api import Page, Route, expect

from tests.e2e.contract import TASKS
from tests.e2e.page.visit import ANNOTATE, SEVERAL, Visit, answer_with, charts, labels, top, type_in, wait_for_answer


def test_while_an_answer_is_on_its_way_the_last_one_is_shown_as_such(visit: Visit, service: str) -> None:
    page = visit()
    wait_for_answer(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(ANNOTATE, hold, times=1)
    with page.expect_request(ANNOTATE):
        type_in(page, SEVERAL[0])
    expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    expect(charts(page)).to_have_count(len(TASKS))
    held[0].continue_()
    wait_for_answer(page)
    assert top(page) == labels(service, SEVERAL[0])


def test_the_tasks_are_waited_for_in_words(visit: Visit) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page = visit(prepare=lambda page: page.route("**/v1/tasks", hold, times=1))
    expect(page.get_by_text("Loading the tasks …")).to_be_visible()
    held[0].continue_()
    expect(charts(page)).to_have_count(len(TASKS))


def test_overload_is_said_and_tried_again_when_the_service_says(visit: Visit, service: str) -> None:
    page = visit()
    wait_for_answer(page)
    asked: list[float] = []
    page.on("request", lambda request: asked.append(time.monotonic()))
    answer_with(page, 503, {"type": "overloaded", "message": "too much"}, times=1, **{"Retry-After": "2"})
    type_in(page, SEVERAL[0])
    expect(page.get_by_role("alert")).to_have_text("The service is busy.")
    expect(page.locator("#countdown")).to_have_text(re.compile(r"Trying again in [12] s\."))
    expect(page.locator("#notice")).to_be_hidden()
    assert asked[1] - asked[0] > 1.5
    assert top(page) == labels(service, SEVERAL[0])


def test_without_a_connection_it_says_so_and_goes_on_when_there_is_one(visit: Visit, service: str) -> None:
    page = visit()
    wait_for_answer(page)
    page.context.set_offline(True)
    type_in(page, SEVERAL[0])
    expect(page.get_by_role("alert")).to_have_text("No connection to the service.")
    expect(page.locator("#countdown")).not_to_be_empty()
    page.context.set_offline(False)
    expect(page.locator("#notice")).to_be_hidden()
    assert top(page) == labels(service, SEVERAL[0])


def test_an_error_is_told_in_the_words_of_the_service_and_can_be_tried_again(visit: Visit, service: str) -> None:
    page = visit()
    wait_for_answer(page)
    answer_with(page, 500, {"type": "annotation_failed", "message": "it cannot be annotated"}, times=1)
    type_in(page, SEVERAL[0])
    expect(page.get_by_role("alert")).to_have_text("it cannot be annotated")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#notice")).to_be_hidden()
    assert top(page) == labels(service, SEVERAL[0])


def test_a_service_that_is_not_there_yet_is_waited_for(visit: Visit) -> None:
    def stop_first(page: Page) -> None:
        page.route("**/v1/tasks", lambda route: route.fulfill(status=503, body="<h1>503</h1>"), times=1)

    page = visit(prepare=stop_first)
    expect(page.get_by_role("alert")).to_have_text("The service is busy.")
    expect(charts(page)).to_have_count(len(TASKS))
    expect(page.locator("#notice")).to_be_hidden()


def test_a_key_is_asked_for_when_the_service_wants_one(visit: Visit) -> None:
    page = visit()
    wait_for_answer(page)
    expect(page.get_by_label("API key")).to_be_hidden()
    sent: list[str | None] = []

    def check(route: Route) -> None:
        sent.append(route.request.headers.get("authorization"))
        if sent[-1] == "Bearer right":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": {"type": "unauthorized", "message": "no"}})

    page.route(ANNOTATE, check)
    type_in(page, "hello")
    for key in ("wrong", "right"):
        page.get_by_label("API key").fill(key)
        page.get_by_label("API key").press("Enter")
        expect(page.get_by_label("API key")).to_be_empty()
        if key == "wrong":
            expect(page.get_by_role("alert")).to_have_text("The service does not accept this key.")
    expect(page.locator("#notice")).to_be_hidden()
    assert sent == [None, "Bearer wrong", "Bearer right"]
