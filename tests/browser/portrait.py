"""The picture of the browser page in the README.

    make portrait        # data/scenes/demo.png, in about a minute; needs Chromium

Six digits are drawn by pointer events, on the page as `make demo` builds it, with the
integer file of 230 kB. The milliseconds are those of the machine that drew it.
"""

import io
import tempfile
from pathlib import Path

from PIL import Image

import lib
from lib.road import demo
from tests.browser import lab, strokes, test_demo

TARGET = lib.ROOT / "data" / "scenes" / "demo.png"
NETWORK = "detector_pruned_int8"
DIGITS = (  # digit, left, top, height, on a ground of 128 x 128
    (3, 8, 10, 40), (7, 58, 8, 34), (5, 98, 14, 24),
    (2, 14, 76, 34), (0, 58, 74, 36), (8, 94, 68, 30),
)  # fmt: skip
COLOURS = 96
SIZE = 970, 685  # without the scroll bar and what stands further down


def shot() -> bytes:
    """A screenshot of the page with what was drawn and found, as PNG."""
    with tempfile.TemporaryDirectory() as folder:
        page = demo.build(Path(folder)).as_uri()
        with lab.page(1000, 900) as driver:
            test_demo.opened(driver, page)
            driver.find_element("css selector", f"input[value={NETWORK}]").click()
            for digit, left, top, high in DIGITS:
                drawing = strokes.drawing(digit, 0, left, top, high)
                test_demo.draw(driver, drawing)
            test_demo.settled(driver)
            return driver.get_screenshot_as_png()


def main() -> None:
    """Draw, look, and write the picture with a palette of few colours."""
    picture = Image.open(io.BytesIO(shot())).convert("RGB").crop((0, 0, *SIZE))
    picture.quantize(COLOURS).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
