"""Opens pages of cucmweb in a real browser, Debian's Chromium.

Any message on the browser's console that is an error, any exception of a script, and any violation
of the page's policy fails the test.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# Without these Chromium tries to reach servers of its maker at each start.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def browser_or_skip() -> str:
    """Returns the path of Chromium. Without it the test is skipped, but not in CI."""
    found = shutil.which("chromium")
    if not os.environ.get("CI"):
        pytest.importorskip("playwright", reason="needs playwright: pip install -e '.[test-page]'")
        if found is None:
            pytest.skip("needs chromium: apt-get install chromium")
    assert found, "chromium is missing"
    return found


@contextmanager
def asyncio_of_its_own() -> Iterator[None]:
    """Lets new event loops be those of asyncio.

    Once trio-asyncio is imported, as by another test in this process, it makes all of them.
    """
    before = asyncio.new_event_loop
    asyncio.new_event_loop = asyncio.SelectorEventLoop
    try:
        yield
    finally:
        asyncio.new_event_loop = before


@contextmanager
def running_browser() -> Iterator[Any]:
    program = browser_or_skip()
    from playwright.sync_api import sync_playwright

    with asyncio_of_its_own(), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield browser
        browser.close()


class Tabs:
    """Opens tabs as one person, and remembers what went wrong in them."""

    def __init__(self, browser: Any, base: str, **options: Any) -> None:
        self.base = base
        self.wrong: list[str] = []
        options = {"viewport": {"width": 1440, "height": 900}, **options}
        self.context = browser.new_context(base_url=base, timezone_id="Asia/Tokyo", **options)

    def open(self, path: str = "/ui/") -> Any:
        tab = self.context.new_page()
        tab.on("pageerror", lambda error: self.wrong.append(f"exception: {error}"))
        tab.on("console", self._note)
        tab.goto(path)
        return tab

    def _note(self, message: Any) -> None:
        # An answer that is not 200 is noted too; tests that expect one look at the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.wrong.append(message.text)


@contextmanager
def tabs(browser: Any, base: str, **options: Any) -> Iterator[Tabs]:
    opened = Tabs(browser, base, **options)
    try:
        yield opened
        for tab in opened.context.pages:  # pytest shows this if the test has failed
            print(tab.url, tab.locator("body").inner_text(), sep="\n")
    finally:
        opened.context.close()
    assert opened.wrong == [], opened.wrong
