"""Every header, and who may ask for what."""

import re

import httpx
import pytest

from facehash.errors import InputError
from facehash.web.limits import RateLimit
from facehash.web.options import ServeOptions, read_secret
from facehash.web.paths import without_paths
from facehash.web.sessions import Sessions
from tests.library import fakes
from tests.library.conftest import draw
from tests.web.conftest import png, serving

PAGES = ("/", "/people", "/photos", "/status", "/api/v1/status", "/faces/1/crop", "/nowhere",
         "/api/v1/nowhere", "/people/1", "/photos/1/image", "/api/v1/openapi.json")  # fmt: skip


def directives(policy):
    return {part.split()[0]: part.split()[1:] for part in policy.split(";")}


def test_every_answer_has_every_header(page):
    answers = [page.get(path) for path in PAGES]
    answers.append(page.post("/people/undo"))  # refused
    answers.append(page.get("/", headers={"Host": "evil.example"}))
    for answer in answers:
        headers = answer.headers
        policy = directives(headers["content-security-policy"])
        assert policy["default-src"] == ["'none'"]
        assert policy["script-src"] == policy["style-src"] == ["'self'"]
        assert policy["connect-src"] == policy["form-action"] == ["'self'"]
        assert policy["img-src"] == ["'self'", "blob:"]
        assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["permissions-policy"].startswith("camera=(), microphone=()")
        assert headers["x-robots-tag"] == "noindex, nofollow"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers and "access-control-allow-origin" not in headers
    static = page.get("/static/page.css")
    assert static.headers["cache-control"] == "public, max-age=3600"
    assert static.headers["x-content-type-options"] == "nosniff"


def test_no_page_has_an_inline_script_or_style_or_another_host(page):
    identifier = page.upload(draw(3)).json()["id"]
    for path in (*PAGES, f"/search/{identifier}", "/faces/1/similar", "/login"):
        text = page.get(path).text
        if not text.startswith("<!DOCTYPE"):
            continue
        assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|<style|\son\w+=", text)
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text)


def test_the_cookie_is_closed_to_scripts_and_other_sites(visit):
    page = visit(csrf=False)
    cookie = page.get("/").headers["set-cookie"]
    assert cookie.startswith("facehash_session=") and len(cookie.split(";")[0]) > 50
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie
    assert "set-cookie" not in page.get("/").headers
    assert "set-cookie" not in visit(csrf=False).get("/static/page.css").headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8765", 200), ("127.0.0.1", 200), ("[::1]:8765", 200), ("LOCALHOST", 200),
        ("evil.example", 421), ("localhost.evil.example", 421), ("192.168.1.2", 421), ("", 421),
        ("127.0.0.1.evil.example:8765", 421), ("evil.example@localhost", 421),
    ],
)  # fmt: skip
def test_only_names_of_this_machine_are_answered(page, host, status):
    assert page.get("/api/v1/status", headers={"Host": host}).status_code == status


def test_a_name_can_be_allowed(visit):
    page = visit(host_names=("photos.home",), csrf=False)
    assert page.get("/", headers={"Host": "photos.home:8765"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost:8765", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"X-CSRF-Token": "wrong"}, 403),
        ({"X-CSRF-Token": ""}, 403),
    ],
)
def test_a_change_must_come_from_the_page_itself(page, headers, status):
    answer = page.post(
        "/api/v1/names", json={"name": "Eve", "face_ids": [1]},
        headers={"X-CSRF-Token": page.csrf} | headers,
    )  # fmt: skip
    assert answer.status_code == status


def test_every_change_needs_the_token(page):
    """Of all routes that are not reading, with a form, JSON, or nothing."""
    routes = [
        (method, re.sub(r"{\w+}", "1", path))
        for path, methods in _routes(page.app)
        for method in methods - {"GET", "HEAD", "OPTIONS"}
    ]
    assert len(routes) > 20
    for method, path in routes:
        for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
            answer = page.request(method, path, headers={"Content-Type": kind}, content=b"")
            assert answer.status_code == 403, (method, path, kind)
    assert page.post("/people/undo", data={"csrf": "x", "statement": 1}).status_code == 403
    other = page.another()
    answer = page.post("/people/undo", data={"csrf": other.csrf, "statement": 1})
    assert answer.status_code == 403  # the token of another session


def _routes(app):
    found = []
    for route in app.routes:
        if hasattr(route, "methods"):
            found.append((route.path, set(route.methods)))
        elif hasattr(route, "original_router"):
            found += [(one.path, set(one.methods)) for one in route.original_router.routes]
    return found


def test_with_a_password_nothing_is_shown_before_the_login(visit):
    page = visit(csrf=False, host="0.0.0.0", password="correct horse")
    for path in (*PAGES[:4], "/faces/1/crop", "/photos/1/image", "/status/events"):
        answer = page.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    refused = page.get("/api/v1/status")
    assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
    text = page.get("/login").text
    token = re.search('name="csrf" value="([^"]+)"', text)[1]
    assert "People" not in text
    before = page.cookies["facehash_session"]
    wrong = page.post("/login", data={"csrf": token, "password": "battery staple"})
    assert wrong.status_code == 403 and "not the right one" in wrong.text
    token = re.search('name="csrf" value="([^"]+)"', wrong.text)[1]
    right = page.post("/login", data={"csrf": token, "password": "correct horse"})
    assert right.headers["location"] == "/"
    # A new id: nobody who knew the one before the login is logged in now.
    assert page.cookies["facehash_session"] != before
    assert page.get("/people").status_code == 200
    token = re.search('name="csrf" value="([^"]+)"', page.get("/people").text)[1]
    assert page.post("/logout", data={"csrf": token}).headers["location"] == "/login"
    assert page.get("/people").status_code == 303


COOKIE = r"facehash_session=[\w-]{43}; HttpOnly; Path=/; SameSite=strict"


def _cookies(page, password):
    """Return the cookies of pages, of an error, of the API, and of the login."""
    found = []
    for path in ("/login", "/people", "/nowhere", "/api/v1/session"):
        page.cookies.clear()  # a new visitor
        answer = page.get(path)
        found.append(answer.headers["set-cookie"])
        if path == "/login":
            token = re.search('name="csrf" value="([^"]+)"', answer.text)[1]
    page.cookies.clear()
    # Sent back explicitly, as the client sends no secure cookie by HTTP.
    headers = {"Cookie": found[0].partition(";")[0]}
    form = {"csrf": token, "password": password}
    answer = page.post("/login", data=form, headers=headers)
    assert answer.headers["location"] == "/"
    return [*found, answer.headers["set-cookie"]]


@pytest.mark.parametrize("proxies, address, secure", [
    ((), "http://localhost:8765", False),
    ((), "https://localhost:8765", True),
    (("10.0.0.0/8",), "http://localhost:8765", True),
    (("10.0.0.0/8",), "https://localhost:8765", True),
])  # fmt: skip
def test_every_cookie_is_secure_where_there_is_https(visit, proxies, address, secure):
    page = visit(csrf=False, password="correct horse", proxies=proxies, address=address)
    for cookie in _cookies(page, "correct horse"):
        assert re.fullmatch(COOKIE + "; Secure" * secure, cookie), cookie


def test_only_a_known_proxy_is_believed_about_visitors(library):
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
    given = {"library": library, "make_pipeline": fakes.make_pipeline, "token": "a long token"}
    limited = given | {"requests_per_second": 0.1}
    seen = {}
    for proxies in ((), ("127.0.0.1",), ("10.0.0.0/8",)):
        with serving(ServeOptions(**limited, proxies=proxies)) as address:
            first = httpx.get(f"{address}/login", headers=headers)
            again = httpx.get(f"{address}/login", headers=headers)
            another = headers | {"X-Forwarded-For": "203.0.113.8"}
            other = httpx.get(f"{address}/login", headers=another)
            seen[proxies] = (
                "Secure" in first.headers["set-cookie"],
                [one.status_code for one in (first, again, other)],
            )
    assert seen == {
        (): (False, [200, 429, 429]),
        ("127.0.0.1",): (True, [200, 429, 200]),  # visitors have limits of their own
        ("10.0.0.0/8",): (True, [200, 429, 429]),
    }


def test_a_proxy_needs_a_secret_and_an_address(tmp_path):
    with pytest.raises(InputError, match="--proxy 127.0.0.1: others could open .* --password-file"):
        ServeOptions(tmp_path, proxies=("127.0.0.1",))
    for wrong in ("localhost", "10.0.0.1/8", "*"):
        with pytest.raises(InputError, match="not an IP address or network, such as 127.0.0.1"):
            ServeOptions(tmp_path, password="correct horse", proxies=(wrong,))


def test_a_token_opens_the_api_without_a_cookie(visit):
    page = visit(csrf=False, token="a long token")
    good, bad = ({"Authorization": f"Bearer {one}"} for one in ("a long token", "a wrong one"))
    assert page.get("/api/v1/status").status_code == 401
    assert page.get("/api/v1/status", headers=bad).status_code == 401
    assert page.get("/api/v1/status", headers=good).status_code == 200
    named = page.post("/api/v1/names", headers=good, json={"name": "Eve", "face_ids": [1]})
    assert named.json()["message"] == "1 face named Eve"
    upload = page.post("/api/v1/queries", headers=good, content=png(draw(3))).json()
    answer = page.get(f"/api/v1/queries/{upload['id']}/results", headers=good)
    assert answer.status_code == 200
    # A cookie with the name of this session is not enough.
    page.cookies.set("facehash_session", "bearer")
    assert page.get("/api/v1/status").status_code == 401


def test_other_machines_need_a_secret(tmp_path):
    with pytest.raises(InputError, match="--password-file FILE, or with --token-file FILE"):
        ServeOptions(tmp_path, host="0.0.0.0")
    assert ServeOptions(tmp_path, host="::1") and ServeOptions(tmp_path, host="localhost")
    file = tmp_path / "password"
    file.write_text("correct horse\nmore\n")
    with pytest.raises(InputError, match="other users can read it; run: chmod 600"):
        read_secret(file, "--password-file")
    file.chmod(0o600)
    assert read_secret(file, "--password-file") == "correct horse"
    file.write_text("short\n")
    with pytest.raises(InputError, match="at least 8 characters"):
        read_secret(file, "--password-file")


def test_too_many_requests_must_wait(visit):
    page = visit(requests_per_second=0.1, uploads_per_second=0.1)
    assert page.get("/api/v1/status").status_code == 429  # one was used for the CSRF token
    answer = page.get("/")
    assert answer.status_code == 429 and 1 <= int(answer.headers["retry-after"]) <= 10
    limit = RateLimit(2.0, 3, clock=iter([0, 0, 0, 0, 0.5, 0.5]).__next__)
    assert [limit.wait("a") for _ in range(6)] == [0, 0, 0, 0.5, 0, 0.5]
    assert RateLimit(0.0, 0).wait("a") == 0


def test_guessing_passwords_is_slowed_down(visit, monkeypatch):
    page = visit(csrf=False, host="0.0.0.0", password="correct horse")
    monkeypatch.setattr("facehash.web.pages.status.asyncio.sleep", _at_once)
    token = re.search('name="csrf" value="([^"]+)"', page.get("/login").text)[1]
    form = {"csrf": token, "password": "guess"}
    codes = [page.post("/login", data=form).status_code for _ in range(11)]
    assert codes == [403] * 10 + [429]


async def _at_once(_):
    return None


def test_no_answer_has_a_path_of_this_machine(visit, library, photos, tmp_path):
    page = visit()
    identifier = page.upload(draw(3)).json()["id"]
    (photos / "party.png").unlink()
    (photos / "broken.jpg").write_bytes(b"x")
    paths = [*PAGES, "/people/99", "/photos/99", "/faces/99/similar", "/api/v1/photos/6",
             "/api/v1/photos/6/image", "/photos/5/thumbnail", "/api/v1/unread", "/faces/3/similar",
             f"/search/{identifier}", f"/api/v1/queries/{identifier}/results",
             "/api/v1/people/1"]  # fmt: skip
    texts = [page.get(path).text for path in paths]
    texts.append(page.change("POST", "/api/v1/index", json={"path": str(tmp_path / "no")}).text)
    for text in texts:
        assert str(tmp_path) not in text and "/tmp" not in text
    shown = visit(show_paths=True)
    assert str(photos / "Bo" / "0.png") in without_breaks(shown.get("/faces/1/similar?k=50"))
    assert shown.get("/api/v1/faces/1/similar").json()["hits"][0]["paths"]


def without_breaks(page):
    return page.text.replace("<wbr>", "")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("/srv/a b/lib: there is no face 3", "the library: there is no face 3"),
        ("/srv/a b/lib/library.db: damaged", "the library/library.db: damaged"),
        ("/home/ann/My photos/a b.jpg: damaged picture", "a b.jpg: damaged picture"),
        ("/srv/a b/lib: busy; to erase it later: facehash rebuild --library '/srv/a b/lib'",
         "the library: busy"),
        ("/srv/a b/lib: none known for run:/home/ann/my runs/quick-48; measured later",
         "the library: none known for run:quick-48; measured later"),
        ("see https://facehash.org/a/b", "see https://facehash.org/a/b"),
        ("3/4 of the rows; see facehash.org", "3/4 of the rows; see facehash.org"),
    ],
)  # fmt: skip
def test_messages_lose_their_paths(message, expected):
    from pathlib import Path

    assert without_paths(message, Path("/srv/a b/lib")) == expected


def test_old_visitors_and_pictures_leave_the_memory():
    now = [0.0]
    sessions = Sessions(100.0, clock=lambda: now[0])
    first = sessions.start()
    kept = [sessions.add_query(first, "", (), b"x" * 10, (1, 1), None) for _ in range(30)]
    assert len(first.queries) == 20 and sessions.query(first, kept[0].id) is None
    big = [sessions.add_query(first, "", (), bytes(100_000_000), (1, 1), None) for _ in range(3)]
    assert list(first.queries) == [one.id for one in big[1:]]
    now[0] = 101.0
    assert sessions.query(first, big[2].id) is None
    sessions.drop_old()
    assert not first.queries
    others = [sessions.start() for _ in range(1000)]
    assert len(sessions) == 1000 and sessions.find(first.id) is None
    now[0] += 13 * 3600
    assert sessions.find(others[0].id) is None and len(sessions) == 0
