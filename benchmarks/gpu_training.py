"""``python -m benchmarks.gpu_training``, see `benchmarks.training.gpu_training`."""

from benchmarks.training.gpu_training import main

if __name__ == "__main__":
    main()
