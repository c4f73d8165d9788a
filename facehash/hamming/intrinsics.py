"""How kernels are compiled, and LLVM code for loops that Numba would not vectorize.

Numba's cache checks only the file of a kernel: after a change here, change `kernels_numba` and
`asymmetric_numba` too.
"""

import sys
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit
from numba.core import cgutils as untyped_cgutils
from numba.core import types
from numba.extending import intrinsic

cgutils: Any = untyped_cgutils
RUN = 64  # items that are compared with a bound at once, each a bit of one word
PLANES = 2  # bits of the level of a bit, see `lower_bits`

if sys.byteorder != "little":
    raise ImportError("the Hamming kernels need a little-endian processor")


def compile_kernel(signature: str, inline: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function when it is defined, or load it from Numba's cache; it releases the GIL.

    Args:
        signature: The types of the function.
        inline: Copy its code into every caller.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(signature, nogil=True, cache=True, forceinline=inline)(function)
        except (RuntimeError, OSError):
            # Neither the package's nor the user's cache folder is writable.
            return njit(signature, nogil=True, forceinline=inline)(function)

    return decorate


def _declare_popcount(typing_context: Any, word: Any) -> Any:
    """Count the set bits of a word by LLVM's ctpop, one instruction of the processor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


popcount: Any = intrinsic(_declare_popcount)


def _declare_nearer(typing_context: Any, gallery: Any, start: Any, code: Any, bound: Any) -> Any:
    """Compare RUN items with a bound: bit i of the result is set if item i is nearer.

    Distances stay in registers, so the speed of memory is the limit.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        items, query = (
            context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 2)
        )
        return _compare(builder, items, arguments[1], query, arguments[3], None)

    return types.uint64(gallery, types.int64, code, types.int64), generate


def _declare_lower(
    typing_context: Any, gallery: Any, start: Any, code: Any, planes: Any, bound: Any
) -> Any:
    """Do the same with the sum of levels of the unequal bits in place of the distance.

    The level of a bit is 0 to 2^PLANES - 1; `planes` holds bit p of all levels of word w at
    [w * PLANES + p]. A sum of levels is then ``sum_p 2^p popcount(unequal & plane p)``.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        items, query, masks = (
            context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 2, 3)
        )
        return _compare(builder, items, arguments[1], query, arguments[4], masks)

    return types.uint64(gallery, types.int64, code, planes, types.int64), generate


def _compare(builder: Any, items: Any, start: Any, query: Any, bound: Any, masks: Any) -> Any:
    """Build the code of both comparisons; without masks every bit has level 1."""
    word, order = ir.IntType(64), ir.VectorType(ir.IntType(32), RUN)
    lanes = ir.VectorType(word, RUN)
    none, zeros = ir.Constant(lanes, ir.Undefined), ir.Constant(lanes, [0] * RUN)

    def repeat(one: Any) -> Any:
        first = builder.insert_element(none, one, ir.Constant(order.element, 0))
        return builder.shuffle_vector(first, none, ir.Constant(order, [0] * RUN))

    def load(array: Any, index: Any) -> Any:
        return repeat(builder.load(builder.gep(array.data, [index])))

    height, size = (builder.extract_value(items.shape, i) for i in (0, 1))
    count = ir.FunctionType(lanes, [lanes])
    ctpop = cgutils.get_or_insert_function(builder.module, count, f"llvm.ctpop.v{RUN}i64")
    far = cgutils.alloca_once_value(builder, zeros)
    builder.store(zeros, far)
    with cgutils.for_range(builder, height) as loop:
        place = builder.add(builder.mul(loop.index, size), start)
        pointer = builder.bitcast(builder.gep(items.data, [place]), lanes.as_pointer())
        unequal = builder.xor(builder.load(pointer, align=8), load(query, loop.index))
        total = builder.load(far)
        for plane in range(1 if masks is None else PLANES):
            kept = unequal
            if masks is not None:
                first = builder.mul(loop.index, ir.Constant(word, PLANES))
                mask = load(masks, builder.add(first, ir.Constant(word, plane)))
                kept = builder.and_(unequal, mask)
            bits = builder.shl(builder.call(ctpop, [kept]), ir.Constant(lanes, [plane] * RUN))
            total = builder.add(total, bits)
        builder.store(total, far)
    nearer = builder.icmp_unsigned("<", builder.load(far), repeat(bound))
    return builder.bitcast(nearer, ir.IntType(RUN))


nearer_bits: Any = intrinsic(_declare_nearer)
lower_bits: Any = intrinsic(_declare_lower)
