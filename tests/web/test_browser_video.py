"""A video on the page, in a real browser."""

import pytest

from tests.library.conftest import ask, directory, draw, index, photos  # noqa: F401
from tests.library.videos import write_video
from tests.web.test_browser import (  # noqa: F401
    address,
    check_accessibility,
    chromium,
    library,
    open_page,
)

try:
    from playwright.sync_api import expect
except ImportError:
    expect = None  # the fixture skips

pytestmark = [pytest.mark.web]


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
def test_a_video_is_looked_at_time_by_time_also_after_it_is_gone(
    open_page,  # noqa: F811
    library,  # noqa: F811
    photos,  # noqa: F811
    index,  # noqa: F811
    ask,  # noqa: F811
    scripts,
):
    pictures = [draw(seed, 44, 44) for seed in (73, 74)]
    clip = write_video(
        photos / "clip.mp4", [(3, [(one, 10, 0)]) for one in pictures], size=(64, 64)
    )
    index(videos=True)
    [(photo,)] = ask("SELECT id FROM photos WHERE seconds IS NOT NULL")
    page = open_page(f"/photos/{photo}", expect_errors=True, java_script_enabled=scripts)
    frame, failed = page.locator(".stage image"), page.locator(".stage text.failed")
    first = frame.get_attribute("href")
    page.get_by_role("link", name="0:03").click()
    page.wait_for_url("**?face=*")
    assert frame.get_attribute("href") != first and page.locator(".stage rect").count() == 1
    assert page.locator(".moments a[aria-current]").inner_text() == "0:03"
    if scripts:
        expect(failed).to_be_hidden()
        check_accessibility(page)
    clip.unlink()
    for kept in (library / "thumbnails").iterdir():
        kept.unlink()
    page.reload()
    if scripts:
        page.wait_for_selector(".framed.broken")
    expect(failed).to_be_visible()
    crop = page.locator(".facerow .crop")
    expect(crop).to_be_visible()
    if scripts:
        assert crop.evaluate("image => image.complete && image.naturalWidth > 0")
