"""The page in a real browser: Debian's chromium, driven by Playwright."""

import os
import shutil
from urllib.parse import urljoin

import numpy as np
import pytest

from facehash.library.ingest.read import encode_jpeg
from facehash.library.people.edit import name_faces, unname_person
from facehash.library.people.journal import list_statements
from facehash.library.people.people import list_people
from facehash.library.storage.store import Store
from facehash.web.options import ServeOptions
from tests.library import fakes, vector_library
from tests.library.conftest import ask, directory, draw, index, photos, save  # noqa: F401
from tests.web.conftest import serving

pytestmark = [pytest.mark.web]

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_MISSING = "chromium and the packages of the extra web-test are needed"
try:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import expect, sync_playwright
except ImportError:
    _CHROMIUM = None

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium():
    if _CHROMIUM is None:
        if os.environ.get("FACEHASH_REQUIRE_WEB"):
            pytest.fail(_MISSING)
        pytest.skip(_MISSING)
    with sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, as which containers run.
        browser = playwright.chromium.launch(
            executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def library(index, directory, photos):  # noqa: F811
    for number in range(6):
        save(photos / "unknown" / f"{number}.png", draw(50 + number))
    index(names="folders")
    with Store.open(directory) as store:
        unname_person(store, "unknown")
    return directory


@pytest.fixture
def address(library):
    options = ServeOptions(library, make_pipeline=fakes.make_pipeline)
    with serving(options) as address:
        yield address


@pytest.fixture
def query(tmp_path):
    return save(tmp_path / "who.png", draw(3))


@pytest.fixture
def open_page(chromium, address):
    """Open a browser window; at the end, nothing may have gone wrong in it."""
    contexts, problems = [], []

    def open_page(path="/", expect_errors=False, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        if not expect_errors:
            page.on(
                "console",
                lambda one: problems.append(one.text) if one.type in ("error", "warning") else None,
            )
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda one: (
                None
                if one.url.startswith((address, "blob:", "data:"))
                else problems.append(f"asked another host: {one.url}")
            ),
        )
        page.goto(address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def names(library):
    with Store.open(library) as store:
        return {one.name: one.faces for one in list_people(store)}


def check_accessibility(page):
    found = Axe().run(page).response["violations"]
    serious = [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def search(page, query):
    page.set_input_files("#picture", query)
    page.wait_for_url("**/search/*")


def test_from_an_upload_to_a_named_answer(open_page, query):
    page = open_page()
    check_accessibility(page)
    search(page, query)
    first = page.locator(".hit").first
    assert first.locator("strong").inner_text() == "Bo"
    assert "distance 0.000" in first.inner_text()
    check_accessibility(page)
    page.get_by_label("Only this person").fill("Cy")
    page.get_by_label("Only this person").press("Enter")
    page.wait_for_url("**person=Cy*")
    # Of faces far away no name is shown, unless a person gave it.
    assert page.locator(".hit").count() == 2
    page.locator(".hit .next").first.click()
    page.wait_for_url("**/faces/*/similar")
    assert page.locator(".hit").count() > 5
    check_accessibility(page)


def test_more_results_appear_without_a_new_page(open_page, library, index, photos):  # noqa: F811
    for number in range(20):
        save(photos / "more" / f"{number}.png", draw(100 + number))
    index()
    page = open_page("/faces/1/similar")
    assert page.locator(".hit").count() == 12
    page.evaluate("window.same = true")
    page.get_by_role("link", name="Show more").click()
    expect(page.locator(".hit")).to_have_count(24)
    assert page.evaluate("window.same")


def test_a_picture_is_dropped_and_pasted(open_page, query):
    page = open_page()
    give = """async ([kind, bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "who.png", {type: "image/png"}));
        const event = kind === "paste"
            ? new ClipboardEvent(kind, {clipboardData: data, bubbles: true})
            : new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
        document.body.dispatchEvent(event);
    }"""
    for kind in ("drop", "paste"):
        page.evaluate(give, [kind, list(query.read_bytes())])
        page.wait_for_url("**/search/*")
        assert page.locator(".hit strong").first.inner_text() == "Bo"
        page.get_by_role("link", name="Another picture").click()
        page.wait_for_selector("[data-drop]")


def test_people_are_merged_and_it_is_undone(open_page, library):
    page = open_page("/people")
    check_accessibility(page)
    assert not page.get_by_role("button", name="Merge the chosen people").is_visible()
    page.get_by_label("Choose Ann").check()
    page.get_by_label("Choose Bo").check()
    page.get_by_role("button", name="Merge the chosen people").click()
    page.wait_for_url("**/people/merge*")
    check_accessibility(page)
    assert "All 3 faces will be called Ann" in page.locator("main").inner_text()
    page.get_by_role("radio").nth(1).check()
    page.get_by_role("button", name="Merge into Bo").click()
    page.wait_for_selector(".notice")
    assert names(library) == {"Bo": 3, "Cy": 2}
    assert "earlier: Ann" in page.locator(".lead").inner_text()
    check_accessibility(page)
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url("**/people")
    assert names(library) == {"Ann": 2, "Bo": 1, "Cy": 2}


def test_a_face_is_named_on_its_photo(open_page, library):
    page = open_page("/photos")
    check_accessibility(page)
    page.get_by_role("link", name="Photo party.png").click()
    page.wait_for_selector(".stage svg")
    check_accessibility(page)
    page.get_by_label("Name of face 2").fill("Dora")
    page.get_by_label("Name of face 2").press("Enter")
    page.wait_for_selector(".notice")
    assert names(library)["Dora"] == 1
    assert page.locator(".stage a text").text_content() == "Dora"


def test_a_missed_face_is_added_by_drawing_a_box(open_page, library, ask):  # noqa: F811
    [(photo,)] = ask("SELECT photo_id FROM paths WHERE CAST(path AS TEXT) LIKE '%night.png'")
    page = open_page(f"/photos/{photo}")
    page.get_by_text("Add a face that was missed").click()
    check_accessibility(page)
    box = page.locator("[data-photo]").bounding_box()
    x, y, side = box["x"], box["y"], min(box["width"], box["height"]) / 20
    x += (box["width"] - 20 * side) / 2
    page.mouse.move(x + 4 * side, y + 5 * side)
    page.mouse.down()
    page.mouse.move(x + 10 * side, y + 10 * side, steps=4)
    page.mouse.move(x + 14 * side, y + 17 * side)
    page.mouse.up()
    fields = [page.locator(f"[data-draw] input[name={one}]") for one in ("x", "y", "w", "h")]
    drawn = [float(field.input_value()) for field in fields]
    assert drawn == pytest.approx([4, 5, 10, 12], abs=0.3)
    page.get_by_label("Who is it?").fill("Night")
    page.get_by_role("button", name="Add the face").click()
    page.wait_for_selector(".notice")
    assert names(library)["Night"] == 1
    page.get_by_role("button", name="Remove").click()
    page.wait_for_selector("text=removed")
    assert "Night" not in names(library)


def test_a_person_is_forgotten(open_page, library):
    page = open_page("/people")
    page.get_by_role("link", name="Cy").click()
    page.get_by_text("Rename or forget").click()
    page.get_by_role("link", name="Forget Cy").click()
    check_accessibility(page)
    page.get_by_role("button", name="Forget Cy").click()
    page.wait_for_selector("text=is left in them")
    check_accessibility(page)
    assert names(library) == {"Ann": 2, "Bo": 1}


def test_an_index_run_is_watched(open_page, photos):  # noqa: F811
    page = open_page("/status")
    check_accessibility(page)
    for number in range(3):
        save(photos / f"new {number}.png", draw(70 + number))
    page.get_by_role("button", name="Look for new photos").click()
    page.wait_for_selector("text=3 new photos with 3 faces", timeout=120_000)
    check_accessibility(page)


def test_on_a_phone_nothing_is_wider_than_the_window(open_page, query):
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
    assert page.get_by_text("Take a photo").is_visible()
    search(page, query)
    result = page.url
    for path in ("/", result, "/people", "/people/1", "/photos", "/photos/1", "/status",
                 "/people/merge?person=1&person=2", "/people/1/forget"):  # fmt: skip
        page.goto(urljoin(page.url, path))
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        check_accessibility(page)


def test_without_javascript_searching_reading_and_naming_work(open_page, query, library):
    page = open_page(java_script_enabled=False)
    page.set_input_files("#picture", query)
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/search/*")
    assert page.locator(".hit strong").first.inner_text() == "Bo"
    page.locator(".hit .photo").first.click()
    page.wait_for_url("**/photos/*")
    page.get_by_label("Name of face 1").fill("Bob")
    page.get_by_role("button", name="Name", exact=True).click()
    page.wait_for_selector(".notice")
    assert "Bob" in names(library)
    page.get_by_role("link", name="People").click()
    assert page.get_by_role("button", name="Merge the chosen people").is_visible()


def test_by_keyboard_alone(open_page, query):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    search(page, query)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.hit strong') !== null"):
            break
    # Where one is can be seen.
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/people/*")


def test_an_expired_session_is_explained(open_page, query, chromium):
    page = open_page(expect_errors=True)
    search(page, query)
    found = page.url
    page.context.clear_cookies()
    page.goto(found)
    assert "This search has expired" in page.locator("main").inner_text()
    check_accessibility(page)
    page.get_by_role("link", name="Start again").click()
    page.wait_for_selector("[data-drop]")
    # A form of the old session is refused, and nothing is changed.
    page.goto(urljoin(found, "/people/1"))
    page.get_by_text("Rename or forget").click()
    page.context.clear_cookies()
    page.get_by_label("New name").fill("Nobody")
    page.get_by_role("button", name="Rename").click()
    assert "too old" in page.locator("main").inner_text()


def test_two_windows_do_not_undo_each_other(open_page, library):
    first = open_page("/people/1", expect_errors=True)
    second = first.context.new_page()
    for page, name in ((first, "One"), (second, "Two")):
        page.goto(urljoin(first.url, "/people/1"))
        page.get_by_text("Rename or forget").click()
        page.get_by_label("New name").fill(name)
        page.get_by_role("button", name="Rename").click()
        page.wait_for_selector(".notice")
    first.get_by_role("button", name="Undo").click()
    assert "said since" in first.locator("main").inner_text()
    assert "Two" in names(library)
    second.get_by_role("button", name="Undo").click()
    second.wait_for_selector(".notice")
    assert "One" in names(library)


def test_suggestions_are_answered_and_groups_named_by_keyboard(chromium, tmp_path):
    library = tmp_path / "many"
    with Store.create(library) as store:
        ids = np.array(vector_library.fill(store, vector_library.people(12, 4))).reshape(12, 4)
        for person in range(8):
            name_faces(store, f"Person {person}", ids[person, :2].tolist())
        store.database.run("UPDATE crops SET jpeg = ?", (encode_jpeg(draw(1)),))
    with serving(ServeOptions(library, make_pipeline=fakes.make_pipeline)) as address:
        page = chromium.new_page()
        problems = []
        page.on("console", lambda one: problems.append(one.text) if one.type == "error" else None)
        page.goto(f"{address}/review")
        check_accessibility(page)
        cards = page.locator(".suggestion")
        assert cards.count() == 16
        asked = [cards.nth(i).locator("[name=name]").input_value() for i in range(3)]
        for left, key in ((15, "y"), (14, "n"), (13, "i")):
            page.keyboard.press(key)
            expect(cards).to_have_count(left)
        assert names(library)[asked[0]] == 3
        with Store.open(library) as store:
            kinds = [one.kind for one in list_statements(store, 3)]
        assert kinds == ["ignore", "reject", "confirm"]
        # The next one has the focus, and arrows go on.
        assert page.evaluate("document.activeElement.className").endswith("suggestion")
        before = page.evaluate("document.activeElement.getAttribute('aria-label')")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == before
        page.get_by_role("link", name="Unknown people").click()
        page.get_by_role("button", name="Group the unknown faces").click()
        page.wait_for_selector(".clusters .card")
        check_accessibility(page)
        page.get_by_label("Name of this group of 4 faces").first.fill("Dora")
        page.keyboard.press("Enter")
        page.wait_for_selector(".notice")
        assert names(library)["Dora"] == 4
        page.get_by_role("button", name="Undo").click()
        page.wait_for_selector(".notice")
        assert "Dora" not in names(library)
        assert problems == []
        page.close()


def test_an_empty_library_greets(chromium, tmp_path, photos):  # noqa: F811
    empty = tmp_path / "empty"
    Store.create(empty).close()
    with serving(ServeOptions(empty, make_pipeline=fakes.make_pipeline)) as address:
        page = chromium.new_page()
        page.goto(address)
        check_accessibility(page)
        page.get_by_label("Folder of your photos").fill(str(photos))
        page.get_by_role("button", name="Read the photos").click()
        page.wait_for_selector("text=7 new photos", timeout=120_000)
        page.goto(address)
        assert "Who is this?" in page.locator("h1").inner_text()
        page.close()
