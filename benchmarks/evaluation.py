"""``python -m benchmarks.evaluation``, see `benchmarks.search.evaluation`."""

from benchmarks.search.evaluation import main

if __name__ == "__main__":
    main()
