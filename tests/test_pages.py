"""What is shown can be read: on light and on dark paper, in words and on a phone."""

import html.parser
import re

import pytest

from lib.book import pages
from lib.detection import bifpn

LIGHT, DARK = ("#ffffff", "#000000"), ("#111111", "#e0e0e0")  # paper and ink of a theme
ENOUGH = 4.5  # WCAG 2.2, success criterion 1.4.3


def luminance(colour):
    """Relative luminance as WCAG 2.2 defines it, of "#rrggbb"."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, two):
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == 21
    # By hand: 0.2126 * 0.2874 + 0.7152 * 0.2874 ... of a grey is its one linear part,
    # ((0.4667 + 0.055) / 1.055)^2.4 = 0.1845 for #777777, and 1.05 / 0.2345 = 4.48.
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


class Colours(html.parser.HTMLParser):
    """The ink and the paper behind every word of a page, as inline styles set them."""

    def __init__(self, theme):
        super().__init__()
        self.stack, self.seen = [theme], set()

    def handle_starttag(self, tag, attrs):
        style = dict(attrs).get("style") or ""
        paper, ink = self.stack[-1]
        ink = re.findall(r"(?:^|;)\s*color:\s*(#\w+)", style)[-1:] or [ink]
        paper = re.findall(r"background:\s*(#\w+)", style)[-1:] or [paper]
        self.stack.append((whole(paper[0]), whole(ink[0])))

    def handle_endtag(self, tag):
        self.stack.pop()

    def handle_data(self, data):
        if data.strip():
            self.seen.add(self.stack[-1])


def whole(colour):
    """ "#abc" as "#aabbcc"."""
    short = len(colour) == 4
    return "#" + "".join(2 * c for c in colour[1:]) if short else colour.lower()


SHOWN = {
    "source": pages.source(bifpn.BiFPN)[1],
    "folded": pages.source(bifpn.BiFPN, folded=True)[1],
    **{s: pages.verdict(s, "11.1 ways", "why <not>")[1] for s in pages.MARKS},
}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("what", SHOWN)
def test_every_word_stands_out_from_its_paper(what, theme):
    page = Colours(theme)
    page.feed(SHOWN[what])
    assert page.stack == [theme] and page.seen
    worst = min(page.seen, key=lambda pair: contrast(*pair))
    assert contrast(*worst) >= ENOUGH, worst


def test_a_source_has_colours_of_its_own():
    page = Colours(DARK)
    page.feed(SHOWN["source"])
    assert len({ink for _, ink in page.seen}) > 4


def test_source_lines_scroll_and_do_not_break():
    """A converter's sheet says pre-wrap and break-all; what is inline beats it."""
    (style,) = re.findall(r'<pre style="([^"]*)"', SHOWN["source"])
    assert "white-space:pre;" in style and "overflow-x:auto" in style
    assert "word-break:normal" in style


def test_a_verdict_says_the_same_twice():
    text, page = pages.verdict("refused", "11.1 ways", "1 < 2")
    assert text == "✗ not yet · 11.1 ways: 1 < 2"
    assert "✗ not yet" in page and "11.1 ways" in page and "1 &lt; 2" in page


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("`a` and `b`", "<code>a</code> and <code>b</code>"),
        ("one ` alone", "one ` alone"),
        ("none < one", "none &lt; one"),
    ],
)
def test_backticks_mark_code(text, page):
    assert pages.marked_up(text) == page
