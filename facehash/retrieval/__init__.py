"""Search and score binary codes: Hamming kernels, tie-aware metrics, code files, figures."""
