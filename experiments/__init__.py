"""The papers' tables: grid, results, published targets, and the authors' own evaluation."""
