"""``python -m benchmarks.lfw``, see `benchmarks.search.lfw`."""

from benchmarks.search.lfw import main

if __name__ == "__main__":
    main()
