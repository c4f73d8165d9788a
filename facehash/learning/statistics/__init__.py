"""Statistics of batch normalization: estimated from images, and compared with those of batches."""
