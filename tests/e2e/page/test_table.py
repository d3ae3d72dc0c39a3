"""Many lines: a table to sort and to download."""

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.contract import TASKS, chat_lines
from tests.e2e.page.visit import (
    ANNOTATE,
    SEVERAL,
    Visit,
    annotations,
    ask,
    charts,
    labels,
    top,
    type_in,
)


def test_many_lines_give_a_table_to_sort_and_to_download(visit: Visit, service: str) -> None:
    page = visit()
    lines = chat_lines()[:70]  # more than one request
    ask(page, "\n\n".join(lines))
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(len(lines))
    exact = annotations(service, lines)

    task = TASKS[0].name
    header = page.locator("thead th", has=page.get_by_role("button", name=re.compile("score$"))).first
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    assert page.locator("[aria-sort]").count() == 1
    best = max(range(len(lines)), key=lambda i: exact[i][task]["scores"][exact[i][task]["label"]])
    expect(rows.first.locator(".number")).to_have_text(str(best + 1))

    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download CSV").click()
    table = list(csv.DictReader(io.StringIO(downloaded(downloading.value.path()))))
    assert table[0]["line"] == str(best + 1)
    assert sorted(int(row["line"]) for row in table) == list(range(1, len(lines) + 1))
    assert list(table[0]) == ["line", "text", *(name for t in TASKS for name in (t.name, f"{t.name}_score"))]
    for row in table:
        number = int(row["line"]) - 1
        assert row["text"] == lines[number]
        for name, result in exact[number].items():
            assert row[name] == result["label"]
            assert float(row[f"{name}_score"]) == pytest.approx(result["scores"][result["label"]], abs=1e-4)
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "ascending")


def downloaded(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def test_a_line_of_the_table_shows_its_charts(visit: Visit, service: str) -> None:
    page = visit()
    ask(page, "\n".join([*SEVERAL, 'a "quoted", line']))
    expect(charts(page)).to_have_count(0)
    page.get_by_role("button", name=SEVERAL[1], exact=True).click()
    expect(page.get_by_role("heading", name=f"Line 2: {SEVERAL[1]}")).to_be_visible()
    assert top(page) == labels(service, SEVERAL[1])
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download CSV").click()
    assert '\r\n4,"a ""quoted"", line",' in downloaded(downloading.value.path())


def test_an_edited_line_alone_is_asked_for_again(visit: Visit) -> None:
    page = visit()
    ask(page, "\n".join(SEVERAL))
    with page.expect_request(ANNOTATE) as asked:
        type_in(page, "\n".join([*SEVERAL, "one more"]))
    assert asked.value.post_data_json == {"inputs": ["one more"], "tasks": [task.name for task in TASKS]}
