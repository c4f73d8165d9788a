"""``python -m benchmarks.search``, see `benchmarks.search.hamming`."""

from benchmarks.search.hamming import main

if __name__ == "__main__":
    main()
