"""``python -m benchmarks.code_verification``, see `benchmarks.search.code_verification`."""

from benchmarks.search.code_verification import main

if __name__ == "__main__":
    main()
