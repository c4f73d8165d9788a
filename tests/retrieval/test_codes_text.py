import logging

import numpy as np
import pytest

from facehash.codes import CodesError, bits_from_packed
from facehash.retrieval.codes_file import read_codes

GALLERY, QUERY = np.array([[0, 1, 0], [1, 1, 1]]), np.array([[0, 1, 1]])


def written(tmp_path, text, name="codes.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def assert_codes(found, gallery_labels, query_labels):
    np.testing.assert_array_equal(bits_from_packed(found.gallery_codes, 3), GALLERY)
    np.testing.assert_array_equal(bits_from_packed(found.query_codes, 3), QUERY)
    assert found.gallery_labels.tolist() == gallery_labels
    assert found.query_labels.tolist() == query_labels
    assert found.bit_order_known


@pytest.mark.parametrize(
    "text",
    [
        "role,label,code\ngallery,7,010\nquery,7,011\ngallery,-2,111\n",
        "\ufeffrole, label, code\r\n\r\ngallery, 7,010\r\ngallery,-2,111\r\nquery,7,011",
        "role,label,bit0,bit1,bit2\ngallery,7,0,1,0\nquery,7,0,1,1\ngallery,-2,1,1,1\n",
        "role,label,bit0,bit1,bit2\ngallery,7,-1,1,-1\nquery,7,-1,+1,1\ngallery,-2,1.0,1,1\n",
    ],
)
def test_a_table_has_codes_as_text_or_a_column_per_bit(tmp_path, text):
    assert_codes(read_codes(written(tmp_path, text)), [7, -2], [7])


def test_labels_are_names_unless_all_of_them_are_integers(tmp_path):
    text = 'role,label,code\ngallery,"Zoë, Ann",010\nquery,"Zoë, Ann",011\ngallery,12,111\n'
    assert_codes(read_codes(written(tmp_path, text)), [1, 0], [1])
    padded = "role,label,code\ngallery,007,010\nquery,007,011\ngallery,7,111\n"
    assert_codes(read_codes(written(tmp_path, padded)), [0, 1], [0])


HEAD = "role,label,code\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the columns must be role, label, and either code or bit0"),
        ("label,role,code\n", "got label, role, code"),
        ("role,label\n", "got role, label"),
        ("role,label,bit1,bit0\n", "bit0, bit1, ... in this order, got role, label, bit1, bit0"),
        ("role,label,a,b,c\n", "got role, label, a, b, ..."),
        (HEAD + "gallery,1\n", "line 2 has 2 columns, the header has 3"),
        (HEAD + "train,1,01\n", "line 2: role must be gallery or query, got 'train'"),
        (HEAD + "gallery,,01\n", "line 2 has no label"),
        (HEAD + "gallery,1,\n", "line 2 has no code"),
        (HEAD + "gallery,1,02\n", "line 2: bits are 0 or 1, or -1 or +1, got '2'"),
        (HEAD + "gallery,1,010\nquery,1,11\n", "line 3: the code has 2 bits, the first has 3"),
        (HEAD + "gallery,1,010\n", "no row has the role 'query'"),
        ("role,label,bit0,bit1\ngallery,1,0,-1\nquery,1,0,0\n", "contain -1"),
        (HEAD + 'gallery,"1,010\n', "cannot be read as .csv (unexpected end of data)"),
    ],
)
def test_a_table_that_is_ambiguous_or_damaged_is_refused_in_one_line(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(CodesError) as caught:
        read_codes(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert message in str(caught.value) or message == "contain -1"


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_bytes(b"role,label,code\n\xff\xfe")
    with pytest.raises(CodesError, match="not UTF-8 text"):
        read_codes(path)
    with pytest.raises(CodesError, match="No such file"):
        read_codes(tmp_path / "absent.csv")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "codes"
    path.mkdir()
    np.save(path / "gallery_codes.npy", GALLERY)
    np.save(path / "query_codes.npy", QUERY)
    np.save(path / "gallery_labels.npy", np.array([7, -2]))
    np.save(path / "query_labels.npy", np.array([[7]]))
    return path


def test_a_folder_has_a_file_per_array_and_others_are_named(folder, caplog):
    assert_codes(read_codes(folder), [7, -2], [7])
    assert not caplog.records
    (folder / "query_codes.npy").unlink()
    (folder / "gallery_labels.npy").unlink()
    (folder / "query_codes.csv").write_text("0,1,1\n")
    (folder / "gallery_labels.csv").write_text("7\n-2\n")
    (folder / "notes.txt").write_text("!")
    with caplog.at_level(logging.WARNING):
        assert_codes(read_codes(folder), [7, -2], [7])
    assert [r.getMessage() for r in caplog.records] == [f"{folder}: 1 array is not read: notes.txt"]


def test_packed_codes_in_a_folder_may_state_their_bit_order(folder):
    for name, bits in (("gallery_codes", GALLERY), ("query_codes", QUERY)):
        np.save(folder / f"{name}.npy", np.packbits(bits.astype(np.uint8), axis=1))
    np.save(folder / "bits.npy", 3)
    np.save(folder / "bit_order.npy", "big")
    assert_codes(read_codes(folder), [7, -2], [7])


def test_a_folder_with_missing_doubled_or_damaged_files_is_refused(folder):
    def refused(message):
        with pytest.raises(CodesError, match=message) as caught:
            read_codes(folder)
        assert str(caught.value).startswith(str(folder)) and "\n" not in str(caught.value)

    (folder / "query_labels.csv").write_text("label\n7\n")
    refused(r"has both query_labels.npy and query_labels.csv; remove one")
    (folder / "query_labels.npy").unlink()
    refused(r"query_labels.csv: line 1: must be integers without a header, got 'label'")
    (folder / "query_labels.csv").write_text("7,8\n7\n")
    refused(r"query_labels.csv: line 2 has 1 numbers, the first has 2")
    (folder / "query_labels.csv").write_text("")
    refused(r"query_labels.csv: is empty")
    (folder / "query_labels.csv").unlink()
    refused(r"no query_labels.npy; a folder of codes has a .npy or .csv file per array")
    np.save(folder / "query_labels.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused(r"query_labels.npy: cannot be read as .npy")
    whole = (folder / "query_codes.npy").read_bytes()
    (folder / "query_codes.npy").write_bytes(whole[:-1])
    refused(r"query_codes.npy: cannot be read as .npy")
