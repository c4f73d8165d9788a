"""``python -m benchmarks.indexing``, see `benchmarks.photos.indexing`."""

from benchmarks.photos.indexing import main

if __name__ == "__main__":
    main()
