"""Loss terms that several methods share, as pure functions of tensors."""

from keras import ops


def quantization_loss(relaxed, target: float = 1.0):
    """Compute the quantization loss: how far relaxed codes are from binary ones.

    ``loss = mean(| |h| - target |)`` over batch and bits. It is 0 if every output is +-target, so
    that taking the sign loses nothing.

    Args:
        relaxed: Float tensor (batch, bits), h in (-1, 1).
        target: The magnitude without quantization error, in (0, 1]. Defaults to 1, for tanh.

    Returns:
        A scalar tensor, 0 or larger.

    Example:
        >>> float(quantization_loss(ops.array([[0.5, -1.0], [-0.25, 1.0]])))
        0.3125

    Reference:
        Lin, Li, Tang. Discriminative Deep Hashing for Scalable Face Image Retrieval. IJCAI 2017,
        section 3.3. As in the released code, the mean over bits, not the sum.
    """
    return ops.mean(ops.abs(ops.abs(relaxed) - target))


def cross_entropy(labels, logits):
    """Compute the mean softmax cross-entropy of integer labels.

    Args:
        labels: Integer tensor (batch,), each from 0 to classes - 1.
        logits: Float tensor (batch, classes), before the softmax.

    Returns:
        A scalar tensor in nats.
    """
    return ops.mean(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True))
