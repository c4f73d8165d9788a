"""``python -m benchmarks.verification``, see `benchmarks.search.verification`."""

from benchmarks.search.verification import main

if __name__ == "__main__":
    main()
