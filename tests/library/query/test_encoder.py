import numpy as np
import pytest
from PIL import Image

from facehash.library.query.encoder import is_library, open_encoder
from facehash.library.storage.database import LibraryError
from tests.library import fakes


def encode(directory, path):
    pipeline = open_encoder(directory, fakes.make_pipeline)
    assert pipeline.embedder.metric == "hamming" and pipeline.embedder.crop == "box"
    return pipeline.embed(np.asarray(Image.open(path)), path).rows


def stored_code(ask, path):
    [(code,)] = ask(
        "SELECT code FROM faces JOIN paths USING (photo_id) WHERE path = ?", str(path).encode()
    )
    return np.frombuffer(code, np.uint8)


@pytest.mark.parametrize("options", [{"codes": "lsh:20"}, {"embedder": "hamming:20"}])
def test_a_photo_is_encoded_as_in_the_library(index, directory, photos, ask, options):
    index(**options)
    path = photos / "Bo" / "0.png"
    np.testing.assert_array_equal(encode(directory, path), [stored_code(ask, path)])


def test_codes_of_a_library_are_identified_by_embedder_hasher_and_seed(index, directory):
    index(codes="lsh:20", seed=3)
    embedder = open_encoder(directory, fakes.make_pipeline).embedder
    assert embedder.identity == "projection 12 cosine,lsh:20,seed=3"
    assert (embedder.dimension, embedder.side) == (20, fakes.SIDE)


def test_a_library_without_codes_names_the_command_to_compute_some(index, directory, photos):
    assert not is_library(directory)
    index()
    assert is_library(directory)
    with pytest.raises(LibraryError, match="has no codes; .* facehash index FOLDER .* itq:64"):
        open_encoder(directory, fakes.make_pipeline)
    index(codes="lsh:8")
    assert encode(directory, photos / "Bo" / "0.png").shape == (1, 1)
