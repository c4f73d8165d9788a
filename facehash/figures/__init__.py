"""Charts and picture grids."""
