"""``python -m benchmarks.asymmetric``, see `benchmarks.search.asymmetric`."""

from benchmarks.search.asymmetric import main

if __name__ == "__main__":
    main()
