"""Lists of images, as CSV files and as the text files of common data sets."""

import numpy as np
import pytest

from data.conversion import SourceError
from data.labeled_images import FacesFileError
from data.loading import load_images
from facehash.config import DatasetConfig
from facehash.dataset import DatasetError
from tests.data.test_prepare import run
from tests.helpers.array_files import SAVERS
from tests.helpers.datasets import load, write_picture

PEOPLE = ("Ann", "Bo Li")


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a list beside a folder of pictures 0.png to 7.png.

    The value of a picture's pixels is its number.
    """
    for number in range(8):
        write_picture(tmp_path / "pics" / f"{number}.png", value=number, size=(16, 16))

    def write(*lines, name="list.csv", encoding="utf-8", end="\n"):
        path = tmp_path / name
        path.write_bytes((end.join(lines) + end).encode(encoding))
        return path

    return write


def read(path, tmp_path, **options):
    """Return the label of each picture by its number, and the faces."""
    faces = load_images(DatasetConfig(name="mine", side=16, **options), path, tmp_path / "cache")
    numbers = np.asarray(faces.images)[:, 0, 0, 0].tolist()
    names = [faces.identities[label] for label in faces.labels]
    return dict(zip(numbers, names, strict=True)), faces


ROWS = [(f"pics/{number}.png", PEOPLE[number % 2]) for number in range(4)]
EXPECTED = {number: PEOPLE[number % 2] for number in range(4)}


@pytest.mark.parametrize(
    ("lines", "name", "encoding"),
    [
        ([",".join(row) for row in ROWS], "list.csv", "utf-8"),
        (["image,label", *(",".join(row) for row in ROWS)], "list.csv", "utf-8-sig"),
        (["Label , IMAGE", *(f"{who}, {path}" for path, who in ROWS)], "list.csv", "utf-8"),
        (["image\tlabel", "", *("\t".join(row) for row in ROWS)], "list.tsv", "utf-8"),
        ([f'"{path}","{who}"' for path, who in ROWS], "list.txt", "utf-8"),
    ],
    ids=["no header", "header and mark", "columns in another order", "tabs", "quoted"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_usual_form_of_a_list_reads_the_same(write, tmp_path, lines, name, encoding, end):
    found, faces = read(write(*lines, name=name, encoding=encoding, end=end), tmp_path)
    assert found == EXPECTED and faces.roles is None and not faces.unreadable


def test_a_list_separated_by_spaces_has_numbers_as_labels(write, tmp_path):
    # As in the text files of CelebA, which have no header.
    lines = [f"pics/{number}.png   {2880 + number % 2}" for number in range(4)]
    found, _ = read(write(*lines, name="identity_CelebA.txt"), tmp_path)
    assert found == {0: "2880", 1: "2881", 2: "2880", 3: "2881"}


def test_a_list_of_any_name_is_read_if_the_loader_says_so(write, tmp_path):
    path = write(*(",".join(row) for row in ROWS), name="faces.list")
    assert read(path, tmp_path, loader="list")[0] == EXPECTED
    with pytest.raises(SourceError, match="with dataset.loader list, a list of images"):
        read(path, tmp_path)
    with pytest.raises(SourceError, match="is a folder, the loader 'list' reads a file"):
        read(tmp_path, tmp_path, loader="list")


def roles_of(faces):
    """Return the numbers of the pictures in each role."""
    return {
        role: sorted(faces.read(getattr(faces, role))[:, 0, 0, 0].tolist())
        for role in ("train", "gallery", "query")
    }


ROLES = ["train", "train", "train", "train", "gallery", "gallery", "query", "query"]


@pytest.mark.parametrize("cached", [False, True])
def test_roles_of_a_list_may_give_a_gallery_of_its_own(write, tmp_path, cached):
    lines = [f"pics/{n}.png,{PEOPLE[n % 2]},{role}" for n, role in enumerate(ROLES)]
    path = write("image,label,role", *lines)
    faces = load(path, cache=tmp_path / "cache")
    if cached:
        faces = load(*(tmp_path / "cache").glob("*.h5"))
    assert roles_of(faces) == {"train": [0, 1, 2, 3], "gallery": [4, 5], "query": [6, 7]}
    assert faces.split == "given"


def test_without_a_gallery_the_training_set_is_one_and_two_lines_give_two_roles(write, tmp_path):
    lines = [f"pics/{n}.png,{PEOPLE[n % 2]},{role}" for n, role in enumerate(ROLES)]
    faces = load(write(*lines[:4], *lines[6:]), cache=tmp_path / "cache")
    assert roles_of(faces) == {"train": [0, 1, 2, 3], "gallery": [0, 1, 2, 3], "query": [6, 7]}
    path = write(*lines, "pics/0.png,Ann,gallery")
    faces = load(path, cache=tmp_path / "cache")
    assert roles_of(faces) == {"train": [0, 1, 2, 3], "gallery": [0, 4, 5], "query": [6, 7]}


def test_protocols_of_given_roles_must_be_true(write, tmp_path):
    def listed(training):
        people = {"train": training, "gallery": ("Cy", "Di"), "query": ("Cy", "Di")}
        return write(
            *(f"pics/{n}.png,{people[role][n % 2]},{role}" for n, role in enumerate(ROLES))
        )

    cache = tmp_path / "cache"
    faces = load(listed(PEOPLE), protocol="unseen", cache=cache)
    assert roles_of(faces) == {"train": [0, 1, 2, 3], "gallery": [4, 5], "query": [6, 7]}
    with pytest.raises(DatasetError, match="'seen', but 2 of 2 .*not in the.*protocol to unseen"):
        load(listed(PEOPLE), cache=cache)
    with pytest.raises(DatasetError, match="'unseen', but 1 of 2 people .*'Cy'; remove them"):
        load(listed(("Ann", "Cy")), protocol="unseen", cache=cache)


@pytest.mark.parametrize("role", ["gallery", "query"])
def test_leave_one_out_searches_the_given_gallery_or_queries_among_themselves(
    write, tmp_path, role
):
    people = ("Ann", "Bo", "Cy", "Di")
    lines = [
        f"pics/{n}.png,{people[n % 2 if n < 4 else 2 + n % 2]},{'train' if n < 4 else role}"
        for n in range(8)
    ]
    faces = load(write(*lines), protocol="leave_one_out", cache=tmp_path / "cache")
    assert roles_of(faces) == {"train": [0, 1, 2, 3]} | dict.fromkeys(
        ("gallery", "query"), [4, 5, 6, 7]
    )
    assert faces.leave_one_out and faces.split == "given"
    with pytest.raises(DatasetError, match="'leave_one_out', but 1 of 3 people .* in the training"):
        path = write(*lines[:-1], f"pics/7.png,Ann,{role}")
        load(path, protocol="leave_one_out", cache=tmp_path / "cache")
    with pytest.raises(DatasetError, match="'Di' has a single gallery image"):
        load(write(*lines[:-1]), protocol="leave_one_out", cache=tmp_path / "cache")
    other = {"gallery": "query", "query": "gallery"}[role]
    with pytest.raises(DatasetError, match="the same images as gallery and queries, got"):
        load(
            write(*lines, f"pics/4.png,Cy,{other}"),
            protocol="leave_one_out",
            cache=tmp_path / "cache",
        )


HEAD, FIRST = "image,label,role", "pics/0.png,Ann,train"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["pics/0.png,Ann", "pics/1.png"], "line 2: has 1 columns separated by a comma"),
        (["pics/0.png,Ann", "", "pics/1.png,Bo,x,y"], "line 3: has 4 columns"),
        (["pics/0.png"], "line 1: has 1 columns separated by spaces, expected 2 or 3"),
        (["pics/0.png 1 0 0 1"], "line 1: has 5 columns separated by spaces"),
        ([HEAD, FIRST, "pics/1.png,,train"], "line 3: has no label"),
        ([HEAD, FIRST, "pics/1.png,Bo,"], "line 3: has no role"),
        ([HEAD, FIRST, "pics/1.png,Bo,test"], "line 3: role 'test' is unknown .*gallery, query"),
        ([HEAD, FIRST, "pics/1.png,Bo,galery"], "line 3: role 'galery' .*mean 'gallery'"),
        ([HEAD, FIRST, FIRST], "line 3: repeats line 2; remove one of them"),
        ([HEAD, FIRST, "pics/0.png,Bo,gallery"], "line 3: .*label 'Bo', but in line 2 'Ann'"),
        ([HEAD, FIRST, "pics/0.png,Ann,query"], "line 3: .*is both query and train, see line 2"),
        (["pics/0.png,Ann", "pics/0.png,Ann"], "line 2: repeats line 1"),
        (["image,name", "pics/0.png,Ann"], "line 1: the header has the columns 'image', 'name'"),
        (["path,person", "pics/0.png,Ann"], "line 1: 'path' is neither an image nor the first"),
        (["pics/0.png,Ann", '"pics/1.png,Bo'], "line 2: .*a quoted cell must end in its line"),
        (["pics/0.png,Ann", "a\0.png,Bo"], r"line 2: 'a\\x00.png' is not a path"),
        (["image,label"], "lists no images; expected lines image,label"),
        ([""], "lists no images"),
    ],
)
def test_lines_that_cannot_be_read_are_named(write, tmp_path, lines, message):
    with pytest.raises(SourceError, match=f"list.csv:? {message}|list.csv: {message}") as caught:
        read(write(*lines), tmp_path)
    assert "\n" not in str(caught.value)


def test_text_of_another_encoding_is_refused(write, tmp_path):
    with pytest.raises(SourceError, match="is not UTF-8 text"):
        read(write("pics/0.png,Zoë", encoding="latin-1"), tmp_path)


def test_missing_and_broken_images_count_as_unreadable_with_their_lines(write, tmp_path):
    for number in range(8, 60):
        write_picture(tmp_path / "pics" / f"{number}.png", value=number, size=(16, 16))
    (tmp_path / "pics" / "broken.png").write_text("no picture")
    lines = [f"pics/{n}.png,{PEOPLE[n % 2]}" for n in range(60)]
    path = write(*lines, "gone/1.png,Ann", "pics/broken.png,Ann")
    for _ in ("converted", "from the cache"):
        done = run("mine", "--source", path, "--side", 16, "--cache", tmp_path / "kept")
        assert done.returncode == 3, done.stderr
        assert done.stdout.splitlines()[:3] == [
            "identities       2", "images          60", "unreadable       2",
        ]  # fmt: skip
        assert "2 of 62 images are unreadable and omitted; the first is line 61: " in done.stderr
        assert "gone/1.png: No such file" in done.stderr
    # A picture that appears later is noticed.
    write_picture(tmp_path / "gone" / "1.png", value=99, size=(16, 16))
    done = run("mine", "--source", path, "--side", 16, "--cache", tmp_path / "kept")
    assert "1 of 62 images are unreadable" in done.stderr and "images          61" in done.stdout
    # Paths relative to the wrong folder are an error, not an empty data set.
    with pytest.raises(SourceError, match=r"2 of 2 images are unreadable.*line 1: .*relative to"):
        read(write("0.png,Ann", "1.png,Bo"), tmp_path)


def test_prepare_counts_the_roles_of_a_list(write, tmp_path):
    lines = [f"pics/{n}.png,{PEOPLE[n % 2]},{role}" for n, role in enumerate(ROLES)]
    done = run("mine", "--source", write(*lines), "--side", 16, "--cache", tmp_path / "kept")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:4] == [
        "identities       2", "train            4", "gallery          2", "query            2",
    ]  # fmt: skip


# -- roles in files of arrays ---------------------------------------------------------------------

IMAGES = np.repeat(np.arange(8, dtype=np.uint8), 16 * 16 * 3).reshape(8, 16, 16, 3)
ARRAYS = {"images": IMAGES, "labels": np.arange(8) % 2}
MASKS = {role: np.array([one == role for one in ROLES]) for role in ("train", "gallery", "query")}


@pytest.mark.parametrize("form", ["npz", "h5", "MATLAB 5", "MATLAB 7.3"])
@pytest.mark.parametrize("side", [16, 8])
def test_arrays_give_the_three_roles(tmp_path, form, side):
    ending, saver = SAVERS[form]
    path = tmp_path / f"faces{ending}"
    saver(path, ARRAYS | {name: mask.astype(np.uint8) for name, mask in MASKS.items()})
    faces = load(path, side=side, cache=tmp_path / "cache")
    assert roles_of(faces) == {"train": [0, 1, 2, 3], "gallery": [4, 5], "query": [6, 7]}
    saver(path, ARRAYS | {name: MASKS[name] for name in ("train", "query")})
    faces = load(path, side=side, cache=tmp_path / "cache")
    assert roles_of(faces) == {"train": [0, 1, 2, 3], "gallery": [0, 1, 2, 3], "query": [6, 7]}


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"query": MASKS["query"]}, "contains query but no train: 8 booleans"),
        (MASKS | {"is_query": MASKS["query"]}, "contains both train and is_query; give one"),
        (MASKS | {"train": np.arange(4)}, r"train must be 8 booleans, one per image, got int64"),
    ],
)
def test_wrong_masks_are_refused(tmp_path, masks, message):
    path = tmp_path / "faces.npz"
    np.savez(path, **ARRAYS, **masks)
    with pytest.raises(FacesFileError, match=message):
        load(path)
