"""``python -m benchmarks.held_out``, see `benchmarks.search.held_out`."""

from benchmarks.search.held_out import main

if __name__ == "__main__":
    main()
