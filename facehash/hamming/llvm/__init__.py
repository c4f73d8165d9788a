"""LLVM code of the Hamming kernels, for loops that Numba would not vectorize."""
