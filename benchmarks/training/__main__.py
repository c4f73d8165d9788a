"""``python -m benchmarks.training``, see `benchmarks.training.fit`."""

from benchmarks.training.fit import main

if __name__ == "__main__":
    main()
