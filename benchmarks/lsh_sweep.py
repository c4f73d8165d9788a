"""``python -m benchmarks.lsh_sweep``, see `benchmarks.search.lsh_sweep`."""

from benchmarks.search.lsh_sweep import main

if __name__ == "__main__":
    main()
