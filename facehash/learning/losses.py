"""Loss terms that more than one hashing method uses, as pure functions of tensors."""

from __future__ import annotations

from keras import ops


def quantization_loss(relaxed, target: float = 1.0):
    """Distance of relaxed codes from the values that binarisation would give them.

    ``mean(| |h| - target |)`` over batch and bits: 0 when every output sits on +-target, so that
    taking its sign loses nothing.

    Args:
        relaxed: Float tensor (batch, bits), h in (-1, 1).
        target: The magnitude that is no quantisation error, 1 for tanh outputs.

    Returns:
        A scalar tensor, 0 or larger.

    Reference:
        Lin, Li, Tang. Discriminative Deep Hashing for Scalable Face Image Retrieval. IJCAI 2017,
        section 3.3, as the released code computes it: the mean over bits, not the sum.
    """
    return ops.mean(ops.abs(ops.abs(relaxed) - target))


def cross_entropy(labels, logits):
    """Mean softmax cross-entropy of integer labels.

    Args:
        labels: Integer tensor (batch,), each in 0..classes-1.
        logits: Float tensor (batch, classes), before the softmax.

    Returns:
        A scalar tensor in nats.
    """
    return ops.mean(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True))
