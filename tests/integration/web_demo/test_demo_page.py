"""The demo page as people use it: drawing, choosing, offline, on a phone."""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser as OpenBrowser
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from pipeline.core.artifact import TFJS_PRECISIONS
from tests.integration.web_demo.drawings import strokes
from tests.integration.web_demo.files import LABELS_FILE
from tests.integration.web_demo.models import TestModel
from web_demo.demo import DemoModel, serve_demo, write_static_site
from web_demo.runtime import Browser
from web_demo.server import serving
from web_demo.static import folder_site

DIGITS = "0123456789"
LOADED_WITHIN_MS = 20_000


@pytest.fixture(scope="module")
def shown(digits: TestModel) -> DemoModel:
    labels = np.load(digits.folder / LABELS_FILE)
    examples = [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]
    return DemoModel(
        name="digits",
        title="Draw a digit",
        kind="draw",
        input="image",
        output="probabilities",
        classes=tuple(DIGITS),
        samples=digits.samples["image"][examples],
        sample_labels=tuple(DIGITS),
        artifacts=tuple(digits.artifact(precision) for precision in TFJS_PRECISIONS),
    )


@pytest.fixture(scope="module")
def chromium(browser: Browser, require: Callable[[str | None], None]) -> Iterator[OpenBrowser]:
    require(browser.missing())
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser.settings()["executable"])
        yield opened
        opened.close()


@pytest.fixture
def context(chromium: OpenBrowser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1280, "height": 860})
    yield context
    context.close()


@contextmanager
def no_complaints(page: Page) -> Iterator[None]:
    """Fail when the page writes an error or a warning to its console, or asks another host for anything."""
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: None if "//127.0.0.1:" in asked.url else complaints.append(asked.url))
    yield
    assert complaints == []


def opened(context: BrowserContext, address: str) -> Page:
    page = context.new_page()
    page.goto(address)
    loaded(page)
    return page


def loaded(page: Page) -> None:
    expect(page.locator("#runtime")).to_contain_text("TF.js", timeout=LOADED_WITHIN_MS)


def draw(page: Page, digit: str) -> None:
    box = page.locator("#pad").bounding_box()
    assert box is not None
    for stroke in strokes(digit):
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=3)
        page.mouse.up()


def test_drawn_digits_are_recognised(context: BrowserContext, shown: DemoModel) -> None:
    """A drawing that is prepared in another way than the training data gives wrong digits with a right model."""
    with serve_demo([shown]) as address:
        page = opened(context, address)
        with no_complaints(page):
            for digit in DIGITS:
                draw(page, digit)
                expect(page.locator("#winner")).to_have_text(digit)
                page.keyboard.press("Escape")
                expect(page.locator("#winner")).to_have_text("?")


def test_a_small_drawing_in_a_corner_is_the_same_digit(context: BrowserContext, shown: DemoModel) -> None:
    """People do not draw where and as large as the data has it."""
    with serve_demo([shown]) as address:
        page = opened(context, address)
        box = page.locator("#pad").bounding_box()
        assert box is not None
        for stroke in strokes("5"):
            points = [(box["x"] + 10 + x * 70, box["y"] + 10 + y * 70) for x, y in stroke]
            page.mouse.move(*points[0])
            page.mouse.down()
            for point in points[1:]:
                page.mouse.move(*point)
            page.mouse.up()
        expect(page.locator("#winner")).to_have_text("5")


def test_every_example_is_answered_as_tensorflow_answers_it(
    context: BrowserContext, shown: DemoModel, digits: TestModel
) -> None:
    """The page would not show the model that was compared."""
    labels = np.load(digits.folder / LABELS_FILE)
    with serve_demo([shown]) as address:
        page = opened(context, address)
        for digit in range(10):
            page.get_by_role("button", name=f"Example of a {digit}").click()
            want = digits.want["probabilities"][int(np.flatnonzero(labels == digit)[0])]
            expect(page.locator("#winner")).to_have_text(str(want.argmax()))
            percents = [float(text.removesuffix(" %")) for text in page.locator("#scores .percent").all_inner_texts()]
            np.testing.assert_allclose(percents, want * 100, atol=0.11)


@pytest.mark.parametrize("backend", ["wasm", "webgl", "cpu"])
def test_every_backend_and_precision_can_be_chosen(context: BrowserContext, shown: DemoModel, backend: str) -> None:
    """A choice that changes nothing but the button would be a lie on the page."""
    with serve_demo([shown]) as address:
        page = opened(context, address)
        page.get_by_role("button", name="Example of a 3").click()
        for precision in ("float16", "uint8", "float32"):
            page.locator(f"input[value={backend}]").check(force=True)
            page.locator(f"input[value={precision}]").check(force=True)
            expect(page.locator("#runtime")).to_contain_text(f", {backend}", timeout=LOADED_WITHIN_MS)
            expect(page.locator("#winner")).to_have_text("3")
            expect(page.locator("#milliseconds")).to_contain_text("ms")
        assert page.locator("#problem").is_hidden()


def test_a_backend_that_does_not_start_leaves_the_page_working(context: BrowserContext, shown: DemoModel) -> None:
    """Someone without WebGPU who tries it should read why, and go on with what ran before."""
    with serve_demo([shown]) as address:
        page = opened(context, address)
        page.locator("input[value=webgpu]").click(force=True)
        expect(page.locator("#problem")).to_contain_text("webgpu", ignore_case=True, timeout=LOADED_WITHIN_MS)
        expect(page.locator("input[value=wasm]")).to_be_checked()
        loaded(page)
        draw(page, "7")
        expect(page.locator("#winner")).to_have_text("7")


def test_it_works_without_a_server_after_the_first_visit(context: BrowserContext, shown: DemoModel) -> None:
    """Installed on a phone, it would show an error page on a train."""
    with serve_demo([shown]) as address:
        page = opened(context, address)
        expect(page.locator("#offline")).to_have_text("Ready", timeout=LOADED_WITHIN_MS)
    page.reload()
    loaded(page)
    for backend, precision in (("wasm", "uint8"), ("webgl", "float16"), ("cpu", "float32")):
        page.locator(f"input[value={backend}]").check(force=True)
        page.locator(f"input[value={precision}]").check(force=True)
        expect(page.locator("#runtime")).to_contain_text(f", {backend}", timeout=LOADED_WITHIN_MS)
        draw(page, "3")
        expect(page.locator("#winner")).to_have_text("3")
        page.get_by_role("button", name="Clear").click()


def test_a_new_model_replaces_the_one_kept_for_offline(
    context: BrowserContext, shown: DemoModel, digits: TestModel, tmp_path: Path
) -> None:
    """After a training run the page must not answer with the old weights, nor with a mixture."""
    other = DemoModel(**{**vars(shown), "artifacts": (digits.artifact(path=_always_seven(digits, tmp_path)),)})
    with serve_demo([shown]) as address:
        page = opened(context, address)
        expect(page.locator("#offline")).to_have_text("Ready", timeout=LOADED_WITHIN_MS)
        port = int(address.rstrip("/").rsplit(":", 1)[1])
    with serve_demo([other], port=port):
        page.reload()
        loaded(page)
        page.get_by_role("button", name="Example of a 3").click()
        expect(page.locator("#winner")).to_have_text("7")


def _always_seven(digits: TestModel, into: Path) -> Path:
    """A copy of the float32 artifact whose last bias favours the 7 beyond doubt."""
    copy = into / "float32"
    shutil.copytree(digits.artifact().path, copy)
    [manifest] = json.loads((copy / "model.json").read_text())["weightsManifest"]
    offset = 0
    for weight in manifest["weights"]:
        if weight["shape"] == [10]:
            break
        offset += 4 * math.prod(weight["shape"])
    file = copy / manifest["paths"][0]
    content = bytearray(file.read_bytes())
    content[offset + 4 * 7 : offset + 4 * 8] = struct.pack("<f", 1000.0)
    file.write_bytes(content)
    return copy


def test_a_static_site_works_below_a_path(context: BrowserContext, shown: DemoModel, tmp_path: Path) -> None:
    """Project pages of most hosts live below a path, where absolute addresses break."""
    write_static_site([shown], tmp_path / "site")
    with serving([folder_site("/some/where/", tmp_path / "site")]) as address:
        page = opened(context, f"{address}some/where/")
        with no_complaints(page):
            draw(page, "4")
            expect(page.locator("#winner")).to_have_text("4")
            expect(page.locator("#offline")).to_have_text("Ready", timeout=LOADED_WITHIN_MS)
        page.reload()
        loaded(page)


def test_a_finger_draws_on_a_phone(chromium: OpenBrowser, shown: DemoModel) -> None:
    """Touch that scrolls the page instead of drawing makes the demo useless on a phone."""
    phone = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    with serve_demo([shown]) as address:
        page = opened(phone, address)
        box = page.locator("#pad").bounding_box()
        assert box is not None
        finger = phone.new_cdp_session(page)
        for stroke in strokes("2"):
            points = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in stroke]
            finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
            for point in points[1:]:
                finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
            finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(page.locator("#winner")).to_have_text("2")
        assert page.evaluate("() => scrollY") == 0
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    phone.close()


def test_the_keyboard_reaches_everything(context: BrowserContext, shown: DemoModel) -> None:
    """Without a mouse one has to be able to take an example, choose a backend and clear the pad."""
    with serve_demo([shown]) as address:
        page = opened(context, address)
        reached = set()
        for _ in range(16):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("() => document.activeElement.ariaLabel ?? document.activeElement.name ?? ''"))
            reached.add(page.evaluate("() => document.activeElement.id"))
        assert {"clear", "backend", "precision", "Example of a 0", "Example of a 9"} <= reached
        page.get_by_role("button", name="Example of a 6").press("Enter")
        expect(page.locator("#winner")).to_have_text("6")


def test_a_page_without_models_says_so(context: BrowserContext) -> None:
    """An empty page would leave people guessing."""
    with serve_demo([]) as address:
        page = context.new_page()
        page.goto(address)
        expect(page.locator("#problem")).to_contain_text("tripoint run")
