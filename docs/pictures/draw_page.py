"""Takes page.png and page-phone.png: the page of a service that runs here. Again when weights or the page have changed.

make serve CONFIG=configs/serve/fused.yaml, and in another terminal .venv/bin/python docs/pictures/draw_page.py
"""

from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright

URL = "http://127.0.0.1:8000"
PICTURES: dict[str, dict[str, Any]] = {
    "page.png": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", "device_scale_factor": 1.5},
    "page-phone.png": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "device_scale_factor": 1.5},
}
UTTERANCE = "I can't believe they cancelled the concert!"


def main() -> None:
    """Visit the page once a picture, and wait for its answer."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, context in PICTURES.items():
            page = browser.new_context(**context).new_page()
            page.goto(URL)
            with page.expect_response(lambda response: UTTERANCE in (response.request.post_data or "")):
                page.get_by_label("Type what somebody says").fill(UTTERANCE)
            expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
            page.evaluate("Promise.allSettled(document.getAnimations().map((animation) => animation.finished))")
            page.screenshot(path=Path(__file__).with_name(name))
        browser.close()


if __name__ == "__main__":
    main()
