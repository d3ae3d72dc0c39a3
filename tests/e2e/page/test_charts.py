"""One utterance: charts, the choice of tasks, times, and what can be copied."""

import json
import re
import shutil
import subprocess

from playwright.sync_api import Page, Route, expect

from tests.e2e.contract import TASKS
from tests.e2e.page.visit import (
    ANNOTATE,
    SEVERAL,
    SIZES,
    Visit,
    annotations,
    ask,
    assert_bars_are,
    charts,
    labels,
    top,
    type_in,
    wait_for_answer,
)


@SIZES
def test_charts_follow_what_is_typed(visit: Visit, service: str, size: tuple[int, int]) -> None:
    page = visit(size)
    expect(charts(page)).to_have_count(len(TASKS))
    for text in ("i hate you so much", "Can you recommend a good restaurant?"):
        ask(page, text)
        assert top(page) == labels(service, text)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_bars_are_as_long_as_their_scores_and_of_many_labels_the_first_are_shown(visit: Visit, service: str) -> None:
    page = visit()
    wait_for_answer(page)
    large = max(TASKS, key=lambda task: len(task.labels))
    chart = charts(page).nth(TASKS.index(large))
    shown = chart.locator(".bar:visible").count()
    assert shown < len(large.labels)
    chart.get_by_role("button", name=f"All {len(large.labels)}").click()
    bars = chart.locator(".bar:visible")
    expect(bars).to_have_count(len(large.labels))
    scores = annotations(service, [page.locator("#text").input_value()])[0][large.name]["scores"]
    assert_bars_are(chart, scores)
    chart.get_by_role("button", name="Fewer").click()
    expect(chart.locator(".bar:visible")).to_have_count(shown)


def test_nothing_typed_shows_the_labels_without_scores(visit: Visit) -> None:
    page = visit()
    wait_for_answer(page)
    type_in(page, "  ")
    expect(page.locator(".leads")).to_have_count(0)
    expect(charts(page)).to_have_count(len(TASKS))
    expect(page.get_by_role("button", name="Copy as JSON")).to_be_disabled()


def test_chosen_tasks_alone_are_asked_for_and_shown(visit: Visit) -> None:
    page = visit()
    wait_for_answer(page)
    page.locator("summary").click()
    page.get_by_role("button", name="None").click()
    expect(page.get_by_text("Choose at least one task.")).to_be_visible()
    expect(charts(page)).to_have_count(0)
    with page.expect_request(ANNOTATE) as asked:
        page.get_by_role("checkbox").nth(1).check()
        page.get_by_role("checkbox").nth(3).check()
        type_in(page, "hello")
    assert asked.value.post_data_json == {"inputs": ["hello"], "tasks": [TASKS[1].name, TASKS[3].name]}
    expect(charts(page)).to_have_count(2)
    expect(page.locator("summary")).to_have_text(f"Tasks 2 of {len(TASKS)}")
    page.get_by_role("button", name="All", exact=True).click()
    wait_for_answer(page)
    assert len(top(page)) == len(TASKS)


def test_answers_that_come_late_are_not_shown(visit: Visit, service: str) -> None:
    page = visit()
    wait_for_answer(page)
    held: list[Route] = []
    page.route(ANNOTATE, lambda route: held.append(route), times=1)
    with page.expect_request(ANNOTATE):
        type_in(page, "i hate you so much")
    ask(page, SEVERAL[2])
    held[0].fulfill(response=page.request.post(f"{service}/v1/annotate", data={"inputs": ["i hate you so much"]}))
    page.wait_for_timeout(200)
    assert top(page) == labels(service, SEVERAL[2])


def test_the_time_of_each_stage_is_told(visit: Visit) -> None:
    page = visit()
    answer = ask(page, "how long does it take?")
    reported = re.findall(r"([a-z-]+);dur=", answer.headers["server-timing"])
    told = page.locator("#stages li span").all_text_contents()
    assert {name.replace("-", " ") for name in reported} - {"total"} == set(told[:-2])
    assert re.fullmatch(r"[\d.]+ ms", page.locator("#total").text_content() or "")


def test_any_number_of_tasks_and_labels_is_shown(visit: Visit) -> None:
    names = ["a_tenth_task", "mood_classification"]
    many = [f"Sort&Kind_{i}" for i in range(40)]
    many[9] = "Sort&Kind_9&aBit"
    moods = ["GladIntent", "SadIntent"]

    def describe(page: Page) -> None:
        told = [
            {"name": names[0], "labels": many, "kind": "multi", "rule": None},
            {"name": names[1], "labels": moods, "kind": "single", "rule": None},
        ]
        page.route("**/v1/tasks", lambda route: route.fulfill(json={"tasks": told}))
        results = {
            names[0]: {"label": many[7], "scores": dict.fromkeys(many, 0.001) | {many[7]: 0.999, many[9]: 0.6}},
            names[1]: {"label": moods[0], "scores": {moods[0]: 1.0, moods[1]: 0.0}},
        }
        body = {
            "model": {"name": "m", "version": "1"},
            "annotations": [{"tokens": 1, "truncated": True, "tasks": results}],
        }
        page.route(ANNOTATE, lambda route: route.fulfill(json=body))

    page = visit(prepare=describe)
    expect(charts(page)).to_have_count(2)
    expect(charts(page).get_by_role("heading")).to_have_text(["A tenth task", "Mood"])
    expect(charts(page).first.locator(".leads")).to_have_text(["7>99%", "9 & a Bit60%"])
    expect(charts(page).last.locator(".bar")).to_have_text(["Glad100%", "Sad0%"])
    expect(page.locator("#tokens")).to_have_text("1 token: the rest is cut off")


def test_what_is_copied_works_elsewhere(visit: Visit, service: str) -> None:
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    text = 'it\'s "$HOME" & `this`'
    ask(page, text)
    page.get_by_role("button", name="Copy as JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    answer = json.loads(page.evaluate("navigator.clipboard.readText()"))
    (exact,) = annotations(service, [text])
    assert answer["annotations"][0]["tasks"] == exact
    page.get_by_role("button", name="Copy as curl").click()
    command = page.evaluate("navigator.clipboard.readText()")
    assert command.startswith(f"curl -s '{service}/v1/annotate'")
    if shutil.which("curl"):
        ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, timeout=30)
        assert json.loads(ran.stdout)["annotations"][0]["tasks"] == exact
