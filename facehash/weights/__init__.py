"""Pretrained weights: which there are, where they are, how to get them."""
