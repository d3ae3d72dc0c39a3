"""The page by keyboard, by ear, and in the colours that somebody needs."""

import re

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tests.e2e.contract import TASKS
from tests.e2e.page.visit import (
    DESKTOP,
    PHONE,
    SEVERAL,
    SIZES,
    Visit,
    answer_with,
    ask,
    type_in,
    wait_for_answer,
    wait_for_rest,
)


def test_the_switch_changes_the_colours_and_is_remembered(visit: Visit) -> None:
    page = visit(scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    switch = page.get_by_role("switch", name="Dark colours")
    expect(switch).not_to_be_checked()
    light = page.evaluate(paper)
    switch.click()
    expect(switch).to_be_checked()
    dark = page.evaluate(paper)
    page.reload()
    expect(switch).to_be_checked()
    assert page.evaluate(paper) == dark != light
    assert visit(scheme="dark").evaluate(paper) == dark


FOCUSED = """() => {
  const one = document.activeElement;
  const box = one.getBoundingClientRect();
  const ring = getComputedStyle(one.closest(".boxes label") ?? one);
  return {
    name: one === document.body ? null : one.id || one.ariaLabel || one.value || one.textContent,
    ring: ring.outlineStyle !== "none" && parseFloat(ring.outlineWidth) >= 2,
    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""


def test_the_description_of_the_interface_is_one_click_away(visit: Visit) -> None:
    page = visit()
    with page.expect_navigation() as gone:
        page.get_by_role("link", name="API").click()
    assert gone.value.ok
    assert gone.value.url.endswith("/docs")


@SIZES
def test_the_keyboard_alone_is_enough(visit: Visit, size: tuple[int, int]) -> None:
    page = visit(size)
    ask(page, "\n".join(SEVERAL))
    page.locator(".skip").focus()
    reached: list[str] = []
    while (focused := page.evaluate(FOCUSED))["name"] not in [None, *reached]:
        assert focused["ring"], focused
        assert focused["inside"], focused
        reached.append(focused["name"])
        # The first opens the choice of tasks, the second shows the charts of a line.
        if reached[-1] in (f"Tasks all {len(TASKS)}", SEVERAL[0]):
            page.keyboard.press("Enter")
        page.keyboard.press("Tab")
    order = [
        "Skip to the results",
        "theme",
        "text",
        "all",
        "none",
        "curl",
        "json",
        "csv",
        "Lines",
        "Number",
        SEVERAL[2],
    ]
    assert [name for name in reached if name in order] == order
    assert {task.name for task in TASKS} < set(reached)
    expect(page.get_by_role("heading", name=f"Line 1: {SEVERAL[0]}")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_a_screen_reader_hears_the_result_once_it_rests(visit: Visit, service: str) -> None:
    page = visit()
    type_in(page, "i love you")
    said = page.get_by_role("status")
    expect(said).to_contain_text("Joy")
    spoken = said.text_content() or ""
    assert spoken.count(":") == len(TASKS)
    assert spoken.count("%") == len(TASKS)
    type_in(page, "\n".join(SEVERAL))
    expect(said).to_have_text("3 lines in the table.")


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_no_rule_of_accessibility_is_broken(visit: Visit, size: tuple[int, int], scheme: str) -> None:
    page = visit(size, scheme)
    wait_for_answer(page)
    page.locator("summary").click()
    page.get_by_role("button", name=re.compile(r"^All \d+$")).first.click()
    assert_accessible(page)
    ask(page, "\n".join(SEVERAL))
    page.get_by_role("button", name=SEVERAL[1], exact=True).click()
    answer_with(page, 401, {"type": "unauthorized", "message": "no"}, times=1)
    type_in(page, "\n".join([*SEVERAL, "hello"]))
    expect(page.get_by_label("API key")).to_be_visible()
    assert_accessible(page)


def assert_accessible(page: Page) -> None:
    wait_for_rest(page)
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    assert len(found["passes"]) > 20
    broken = [(rule["id"], [node["html"] for node in rule["nodes"]][:3]) for rule in found["violations"]]
    assert broken == []
