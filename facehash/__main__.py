"""``python -m facehash``, for systems where the command is not on the path."""

from facehash.cli import main

if __name__ == "__main__":
    main()
