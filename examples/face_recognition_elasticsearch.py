"""Keep the faces of a folder of photos in Elasticsearch, index face_recognition, and search there.

Run it with a folder, a photo to search for, and a server:
python examples/face_recognition_elasticsearch.py PHOTOS PHOTO elasticsearch://127.0.0.1:9200
A password may be in the environment variable FACEHASH_ENGINE_PASSWORD.
"""

import sys
from pathlib import Path

import facehash
from facehash.library.derived.engines import push
from facehash.library.ingest.update import index_folder
from facehash.library.storage.engines import Engine, list_engines, register
from facehash.library.storage.store import Store

LIBRARY = Path("face_recognition_library")
ENGINE = "elasticsearch"


def main(photos: str, photo: str, url: str) -> None:
    """Index new photos, bring the server up to date, and print the five nearest faces."""
    index_folder(Path(photos), LIBRARY, names="folders")
    with Store.open(LIBRARY) as store:
        if not list_engines(store.database):
            # A dense_vector for each face in the index face_recognition, compared by cosine.
            register(store, Engine(ENGINE, url, by="embedding"))
        push(store, ENGINE)
    with facehash.open(LIBRARY, by="embedding", engine=ENGINE) as library:
        for result in library.search(photo, k=5):
            for hit in result.hits:
                print(f"{hit.distance:.3f} {hit.name} {hit.path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
