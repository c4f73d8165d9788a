import pytest
import yaml

from experiments.table.published import PublishedError, load_published
from tests.helpers.table_examples import make_summary

SOURCE = {"work": "Some et al., 2018", "place": "table 2", "page": "7", "how": "printed there"}
ENTRY = {"method": "Theirs", "row": "ddh", "dataset": "orl", "protocol": "seen", "metric": "mAP"}
ENTRY |= {"distance": "hamming", "source": "some", "bits": {"12": {"value": 0.5, "within": 0.005}}}
PAPERS = {"gallery": 2800, "query": 1200}
"""The size of the made-up data of `make_summary`."""


@pytest.fixture
def write(tmp_path):
    def write_file(*entries):
        path = tmp_path / "published.yaml"
        tree = {"sources": {"some": SOURCE}, "entries": list(entries)}
        path.write_text(yaml.safe_dump(tree))
        return path

    return write_file


def test_our_numbers_have_a_source_and_none_is_of_a_table_that_we_have_not_read():
    ours = load_published()
    for entry in ours.entries:
        source = ours.sources[entry.source]
        assert "commit 0cb84d3" in source.work
        assert "figure images/exp_" in source.place
        assert "read off the figure" in source.how
    assert {entry.metric for entry in ours.entries} == {"P@r2", "R@r2"}
    assert {entry.row for entry in ours.entries} == {"ddh", None}
    assert ours.entries[0].bits["12"].value == 0.054
    starred = {entry.method: entry for entry in ours.entries if entry.method.endswith("*")}
    assert set(starred) == {"SDH*", "FSDH*", "DDQH*"}
    # The source does not say what the star means, so none of them stands beside a row of ours.
    assert all(entry.row is None for entry in starred.values())
    assert starred["DDQH*"].bits["48"].value == 0.935 and "12" not in starred["DDQH*"].bits
    assert not {"OPQN", "GPQ", "DPQ"} & {entry.method for entry in ours.entries}
    assert ours.entries[0].bits["36"].within is None  # its marker is partly hidden


def test_a_number_without_a_source_is_refused(write):
    with pytest.raises(PublishedError, match="every number needs a source") as caught:
        load_published(write(ENTRY | {"source": "memory"}))
    assert "Theirs on orl: source 'memory' is missing under sources" in str(caught.value)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"bits": {"12": {"value": 54.0, "within": 0.1}}}, "entries.0.bits.12.value: .*less than"),
        ({"bits": {"12": {"value": 0.5}}}, "missing key .entries.0.bits.12.within"),
        ({"metric": "map"}, "entries.0.metric: .*'mAP'"),
        ({"page": 3}, "unknown key .entries.0.page"),
    ],
)
def test_an_entry_that_is_not_clear_is_refused_in_one_line(write, change, message):
    path = write(ENTRY | change)
    with pytest.raises(PublishedError, match=message) as caught:
        load_published(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_two_entries_for_one_place_of_a_table_are_refused(write):
    with pytest.raises(PublishedError, match="two entries .*: ddh, orl, seen, mAP, hamming"):
        load_published(write(ENTRY, ENTRY | {"method": "Theirs again"}))
    other = ENTRY | {"distance": "authors"}
    nowhere = ENTRY | {"row": None}
    assert len(load_published(write(ENTRY, other, nowhere, nowhere)).entries) == 4


@pytest.mark.parametrize("text", [None, "- 1"])
def test_a_missing_file_and_one_of_something_else_are_named(tmp_path, text):
    if text is not None:
        (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(PublishedError, match="odd.yaml: ") as caught:
        load_published(tmp_path / "odd.yaml")
    assert "\n" not in str(caught.value)


def test_numbers_are_shown_for_equal_data_and_protocol_else_the_reason_is_given(write, tmp_path):
    published = load_published(write(ENTRY))
    summary = make_summary(tmp_path, papers=PAPERS)
    assert published.why_none(summary, "seen") is None
    assert [entry.method for entry in published.beside(summary, "seen")] == ["Theirs"]
    assert published.beside(summary, "unseen") == []
    assert published.why_none(summary, "unseen") == (
        "published.yaml has no numbers for orl with the protocol unseen"
    )
    seen_only = summary | {"rows": [r for r in summary["rows"] if r["protocol"] == "seen"]}
    assert published.why_none(seen_only, "unseen") == "no results for this protocol"
    elsewhere = make_summary(tmp_path, name="lfw", papers=PAPERS)
    assert published.why_none(elsewhere, "seen") == "published.yaml has no numbers for lfw"
    smaller = make_summary(tmp_path, papers={"gallery": 63800, "query": 1200})
    assert published.why_none(smaller, "seen") == (
        "our data differ from the papers' data (2,800 gallery and 1,200 query images instead of "
        "63,800 and 1,200)"
    )
    assert "does not state the size of the papers' data" in published.why_none(
        make_summary(tmp_path), "seen"
    )
    others = load_published(write(ENTRY | {"row": None}, ENTRY | {"row": "dcbh"}))
    assert "only of methods without a row here" in others.why_none(summary, "seen")
