"""The description of the interface at `/docs`, read and tried by a visitor."""

from playwright.sync_api import expect

from tests.e2e.page.visit import Visit


def test_a_request_is_read_and_tried(visit: Visit, service: str) -> None:
    page = visit()
    page.goto(f"{service}/docs")
    page.locator("#operations-annotate-post_v1_annotate .opblock-summary-control").click()
    with page.expect_response(f"{service}/v1/annotate") as answered:
        page.get_by_role("button", name="Execute").click()
    assert answered.value.status == 200
    expect(page.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
    expect(page.locator(".live-responses-table")).to_contain_text(answered.value.json()["model"]["version"])
