import html.parser
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from tfds_haa500.browsing import film, page
from tfds_haa500.browsing.picks import BrowseError

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&"


def card(title: str, link: str = "", **tags: str) -> page.Card:
    made = film.make("frames", [np.zeros((8, 8, 3), np.uint8)] * 3, 1.5)
    return page.Card(title, tags, ["3 frames"], [("", [made])], link)


class Reader(html.parser.HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_text_of_the_data_set_stays_text():
    hostile = card(HOSTILE, **{HOSTILE: HOSTILE})
    legend = [page.Legend(HOSTILE, (1, 2, 3))]
    cards = [hostile, card("plain", **{HOSTILE: "other"})]
    read = Reader(page.render(HOSTILE, [HOSTILE], legend, cards))
    assert not read.of("img")
    assert len(read.of("script")) == 1
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert read.texts.count(HOSTILE) >= 5
    assert json.loads(read.of("article")[0]["data-tags"]) == {HOSTILE: HOSTILE}


def test_nothing_is_loaded_from_elsewhere():
    text = page.render("title", [], [], [card("a", link="https://example.com/a?b=1&c=2")])
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", text) == ["https://example.com/a?b=1&amp;c=2"]
    assert all(address.startswith("data:image/webp;base64,") for address in re.findall(r"url\(([^)]*)\)", text))
    assert "default-src 'none'" in text


@pytest.mark.parametrize("link", ["", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
def test_only_web_addresses_become_links(link):
    assert not Reader(page.render("title", [], [], [card("a", link=link)])).of("a")


def test_choices_are_the_tags_with_several_values():
    cards = [card("a", split="train", area="all"), card("b", split="test", area="all")]
    read = Reader(page.render("title", [], [], cards))
    assert [choice["data-tag"] for choice in read.of("select")] == ["split"]
    assert [option["value"] for option in read.of("option")] == ["", "test", "train"]


def test_films_play_in_their_own_time_and_single_pictures_stand_still():
    still = page.Card("one", {}, [], [("", [film.make("one", [np.zeros((8, 8, 3), np.uint8)], 1.0)])])
    windows = Reader(page.render("title", [], [], [card("a"), still])).of("div")
    moving, single = (window for window in windows if window.get("role") == "img")
    assert moving["class"] == "film moving"
    assert "--frames: 3;" in moving["style"]
    assert "--seconds: 1.50s;" in moving["style"]
    assert single["class"] == "film"


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    page.write(tmp_path / "a.html", "first")
    page.write(tmp_path / "a.html", "second")
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
    assert (tmp_path / "a.html").read_text() == "second"
    with pytest.raises(BrowseError, match="--out=.*none/a.html cannot be written"):
        page.write(str(tmp_path / "none" / "a.html"), "third")


def test_a_path_for_no_page_is_refused_before_any_work(tmp_path):
    page.check_out(str(tmp_path / "a.html"))
    with pytest.raises(BrowseError, match="is a folder"):
        page.check_out(str(tmp_path))
    with pytest.raises(BrowseError, match="there is no folder .*/none"):
        page.check_out(str(tmp_path / "none" / "a.html"))


@pytest.mark.slow
@pytest.mark.skipif(not BROWSER, reason="no Chromium is installed")
def test_a_browser_filters(tmp_path):
    cards = [card(f"clip {i}", split="train" if i % 2 else "test") for i in range(6)] + [card(HOSTILE, split="test")]
    choose = """<script>
      document.querySelector("select").value = "test";
      document.querySelector("input").value = "CLIP";
      document.querySelector("form").dispatchEvent(new Event("input"));
    </script></body>"""
    (tmp_path / "page.html").write_text(page.render("title", [], [], cards).replace("</body>", choose))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run([*command, f"file://{tmp_path}/page.html"], capture_output=True, text=True, timeout=60)
    assert "CONSOLE" not in done.stderr
    shown = [attributes for attributes in Reader(done.stdout).of("article") if "hidden" not in attributes]
    assert [json.loads(attributes["data-tags"]) for attributes in shown] == [{"split": "test"}] * 3
