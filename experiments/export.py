"""``python -m experiments.export``, see `experiments.run.export`."""

from experiments.run.export import main

if __name__ == "__main__":
    main()
