"""``python -m experiments.reproduce``, see `experiments.table.reproduce`."""

from experiments.table.reproduce import main

if __name__ == "__main__":
    main()
