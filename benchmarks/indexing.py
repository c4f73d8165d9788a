"""``python -m benchmarks.indexing``, see `benchmarks.search.indexing`."""

from benchmarks.search.indexing import main

if __name__ == "__main__":
    main()
