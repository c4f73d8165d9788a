"""DDH, Discriminative Deep Hashing for Scalable Face Image Retrieval: Lin, Li, Tang, IJCAI 2017."""
