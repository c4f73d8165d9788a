"""``python -m benchmarks.data``, see `benchmarks.training.data`."""

from benchmarks.training.data import main

if __name__ == "__main__":
    main()
