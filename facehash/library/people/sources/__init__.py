"""Sources of names: folders, lists and other programs."""
