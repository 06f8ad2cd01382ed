"""The report in a real browser: needs playwright, and Chromium as a package or by `playwright install chromium`."""

import shutil
import time

import pytest

from haa_jax import report
from haa_jax.reporting import groups, tables
from haa_jax.reporting import runs as opened
from tests.conftest import _child_processes
from tests.reporting import runs as made

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
pytestmark = pytest.mark.slow
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, CHROMIUM)), None)
        try:
            running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except sync_api.Error as error:
            pytest.skip(f"Chromium does not start: {error.message.splitlines()[0]}")
        yield running
        running.close()
    deadline = time.monotonic() + 10  # its processes end a moment later
    while any("playwright" in line or "chrom" in line for line in _child_processes()) and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.fixture
def visit(browser):
    """Opens a page; at the end of the test, there may have been no error and no request to anything but the page."""
    contexts, problems = [], []

    def open_page(path, **options):
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: problems.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else problems.append(request.url),
        )
        page.goto(f"file://{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """The page of two runs on all of HAA500's classes, and its runs."""
    folder = tmp_path_factory.mktemp("big")
    given = [made.write_run(folder / name, made.haa500(seed)) for seed, name in enumerate(("first", "second"))]
    return report.report(given, folder / "out"), opened.open_runs(given)


def shown_classes(page) -> list[str]:
    return page.locator("#class-table tbody tr td:first-child").all_text_contents()


def test_the_class_table_is_sorted_and_filtered(visit, big):
    path, runs = big
    page, rows = visit(path), tables.classes(runs[0].heads["atomic"])
    names = runs[0].heads["atomic"].classes
    assert len(shown_classes(page)) == 500
    rates = [rows[names.index(name)]["correct"] for name in shown_classes(page)]
    assert rates == sorted(rates)  # the worst are on top
    page.click("#class-table th button >> text=first")
    rates = [rows[names.index(name)]["correct"] for name in shown_classes(page)]
    assert rates == sorted(rates, reverse=True)
    page.click("#class-table th button >> text=Class")
    assert shown_classes(page) == sorted(names)
    page.fill("#class-filter", "PLAY_")
    mistaken = {name for name, row in zip(names, rows, strict=True) if "play_" in _mistaken_for(names, row)}
    found = {name for name in names if "play_" in name} | mistaken
    assert set(shown_classes(page)) == found
    page.select_option("#class-area", "musical_instruments")
    areas = dict(zip(names, groups.packaged_table(runs[0]).areas, strict=True))
    inside = shown_classes(page)
    assert set(inside) == {name for name in found if areas[name] == "musical_instruments"}
    correct = sum(rows[names.index(name)]["correct"] for name in inside)
    assert page.inner_text("#class-count").startswith(
        f"{len(inside)} of 500 classes, {correct}/{3 * len(inside)} clips correct"
    )


def _mistaken_for(names, row: dict) -> str:
    return "" if row["mistaken_for"] is None else names[row["mistaken_for"]]


def test_the_matrix_is_read_by_block_and_by_cell(visit, big):
    path, runs = big
    page, answers = visit(path), runs[0].heads["atomic"]
    wrong = (~answers.correct).sum()
    page.click("#matrix button[data-kind=class]")
    assert f"{wrong} clips in all" in page.inner_text("#matrix .hint")
    for axis in ("rows", "columns"):
        page.select_option(f"#matrix select[data-axis={axis}]", label=f"{axis}: musical_instruments")
    assert f"{wrong} clips in all" not in page.inner_text("#matrix .hint")
    cell = page.locator("#matrix .cells button").first
    count, names = int(cell.locator(".count").inner_text()), cell.inner_text()
    cell.click()
    assert page.locator("#cell-clips .clip").count() == count
    label, predicted = names.split("\n")[-1].removeprefix(str(count)).strip().split(" → ")
    caption = page.locator("#cell-clips .clip").first.inner_text()
    assert label in caption
    assert f"✗ {predicted}" in caption
    page.click("#matrix button >> text=Whole matrix")
    page.click("#matrix canvas")  # in its middle: zooms in
    assert f"{wrong} clips in all" not in page.inner_text("#matrix .hint")


def test_the_other_run_is_chosen_and_changes_add_up(visit, big):
    path, runs = big
    page = visit(path, color_scheme="dark")
    first, second = (run.figures["atomic"]["top1"]["correct"] for run in runs)
    page.click("#changes summary >> nth=0")
    cells = [int(text) for text in page.locator("#changes .four td").all_text_contents()]
    assert (cells[0] + cells[1], cells[0] + cells[2], sum(cells)) == (first, second, 1500)
    assert f"{first}/1500" in page.inner_text("#class-count")
    page.select_option("#choose-run", label="second")
    assert f"{second}/1500" in page.inner_text("#class-count")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 21, 27)"


@pytest.mark.parametrize("width", [360, 1280])
def test_no_width_makes_the_page_scroll_sideways(visit, big, width):
    page = visit(big[0], viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_pair_leads_to_its_clips(visit, tmp_path, data_dir):
    arrays = made.small({0: 3, 1: 3})
    arrays["clip_ids"][:3] = ["CPR_017", "CPR_018", "CPR_019"]
    page = visit(report.report([made.write_run(tmp_path / "run", arrays)], "", data_dir, "haa500/tiny"))
    pair = page.locator("#pairs .pair").first
    assert "jump ↔ </script>" in pair.inner_text()
    assert pair.locator(".clip").count() == 4  # two wrong ones, and one correct clip of each class
    pair.locator("[data-clip=CPR_018]").click()
    dialog = page.locator("dialog")
    assert "Label: jump, inside" in dialog.inner_text()
    assert dialog.locator(".top tr").count() == 4
    assert dialog.locator(".top tr").first.locator("td").first.inner_text() == "</script>"
    image = dialog.locator("img").element_handle()
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=image)
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    page.click("#class-table tbody tr >> nth=0")
    assert "Its 3 clips" in dialog.inner_text()
    assert dialog.locator("[data-clip=CPR_017] img").count() == 1
    page.click("dialog .close")
    page.uncheck("#play")
    assert page.evaluate("getComputedStyle(document.querySelector('.thumb img')).animationName") == "none"
