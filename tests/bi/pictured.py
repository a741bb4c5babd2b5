"""Run by Superset's own Python: a picture of a dashboard, once all of its charts are drawn.

python pictured.py CHROMIUM URL CHARTS PICTURE gives, as JSON, what failed.
"""

from __future__ import annotations

import json
import sys
import time

from playwright.sync_api import Page, Response, Route, sync_playwright

WAIT_SECONDS = 120
SIZE = {"width": 1500, "height": 2600}  # what is out of view is not drawn
HOLDER, BUSY = ".dashboard-component-chart-holder", ".loading, [data-test='loading-indicator']"
DRAWN = f"{HOLDER}:has(canvas, table, .header-line)"  # a chart, a table, a large number
STEADY = 3  # looks, a second apart: the grid goes and comes back once the filters are there
ERRORS = f"{HOLDER} .ant-alert-error, [data-test='error-alert']"


def main(chromium: str, url: str, charts: int, picture: str) -> None:
    answers: list[int] = []

    def note(answer: Response) -> None:
        if "/api/v1/chart/data" in answer.url:
            answers.append(answer.status)

    with sync_playwright() as browsers:
        # The sandbox of Chromium cannot be had by root, which tests in a container are.
        browser = browsers.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.on("response", note)
        page.route(lambda asked: not asked.startswith(url[: url.index("/", 8)]), refuse)
        page.goto(url, timeout=WAIT_SECONDS * 1000)
        page.wait_for_selector(HOLDER, timeout=WAIT_SECONDS * 1000)
        wait(page, answers, charts)
        holders = page.locator(HOLDER)
        said = {
            "failed": [status for status in answers if status != 200],
            "drawn": page.locator(DRAWN).count(),
            "errors": page.locator(ERRORS).all_inner_texts(),
            "empty": [text for text in holders.all_inner_texts() if "No results" in text],
        }
        page.screenshot(path=picture, full_page=True)
        browser.close()
    print(json.dumps(said))


def refuse(route: Route) -> None:
    """Nothing is asked of another host."""
    route.abort()


def wait(page: Page, answers: list[int], charts: int) -> None:
    """Until each chart has its answer and stays drawn, and nothing turns any more."""
    until, steady = time.monotonic() + WAIT_SECONDS, 0
    while steady < STEADY and time.monotonic() < until:
        page.wait_for_timeout(1000)
        is_drawn = page.locator(DRAWN).count() == charts and not page.locator(BUSY).count()
        steady = steady + 1 if is_drawn and len(answers) >= charts else 0


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
