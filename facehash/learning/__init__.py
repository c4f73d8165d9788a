"""Learning with Keras 3: the model contract, its losses, augmentation, training and encoding."""
