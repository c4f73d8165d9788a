"""``python -m benchmarks.engines``, see `benchmarks.search.engines`."""

from benchmarks.search.engines import main

if __name__ == "__main__":
    main()
