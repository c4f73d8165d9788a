"""The picture of the search page, and the screen in docs/search.md, show what really happens."""

import re

from tests.conftest import ROOT
from tests.helpers.face_data import weights_dir
from tests.helpers.facehash_command import facehash
from tools.search_page import main


def test_the_album_is_found_as_the_documents_show_it(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEHASH_WEIGHTS", str(weights_dir()))
    made = tmp_path / "made"
    main(["--output", str(made)])
    page = (made / "page.html").read_text(encoding="utf-8")
    assert "<p>240 faces &middot; embedder" in page
    assert re.findall(r"<strong>(.*?)</strong>", page) == ["Person 19"] * 6 + ["unknown"] * 2
    code, out, _ = facehash("search", made / "person-19.png", "--library", made / "lib", "-k", 7)
    assert code == 0
    document = (ROOT / "docs/search.md").read_text(encoding="utf-8")
    # The document's library has no names yet, and lies elsewhere.
    found = [re.sub(r"  Person 19 ", "  -         ", line) for line in out.splitlines()[1:]]
    # Another example has a face in a video, with its time after " @ ".
    shown = re.findall(r"^  \d  0\.\d{3}  (?!.* @ ).*$", document, re.MULTILINE)
    assert [_plain(line) for line in found] == [_plain(line) for line in shown]


def _plain(line):
    return re.sub(r"\S*/album/", "", " ".join(line.split()))
