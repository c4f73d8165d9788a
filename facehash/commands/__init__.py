"""The commands of `facehash`, one group a file; each imports what it needs when it runs."""
