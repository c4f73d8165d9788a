"""DCBH, Deep Clustering and Block Hashing Network for Face Image Retrieval, ACCV 2018."""
