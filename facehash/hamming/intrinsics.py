"""How kernels are compiled, and LLVM code for loops that Numba would not vectorize.

Numba's cache checks only the file of a kernel: after a change here, change `count_numba`,
`nearest_numba` and `asymmetric_numba` too. `rows` has the LLVM code for several queries, `nibbles`
that of asymmetric search.
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

if sys.byteorder != "little":
    raise ImportError("the Hamming kernels need a little-endian processor")


def compile_kernel(
    signature: str | list[str], inline: bool = False
) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function when it is defined, or load it from Numba's cache; it releases the GIL.

    Args:
        signature: The types of the function; several for a function of several types.
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
    word, order = ir.IntType(64), ir.VectorType(ir.IntType(32), RUN)
    lanes = ir.VectorType(word, RUN)
    none, zeros = ir.Constant(lanes, ir.Undefined), ir.Constant(lanes, [0] * RUN)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        items, query = (
            context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 2)
        )

        def repeat(one: Any) -> Any:
            first = builder.insert_element(none, one, ir.Constant(order.element, 0))
            return builder.shuffle_vector(first, none, ir.Constant(order, [0] * RUN))

        height, size = (builder.extract_value(items.shape, i) for i in (0, 1))
        count = ir.FunctionType(lanes, [lanes])
        ctpop = cgutils.get_or_insert_function(builder.module, count, f"llvm.ctpop.v{RUN}i64")
        far = cgutils.alloca_once_value(builder, zeros)
        builder.store(zeros, far)
        with cgutils.for_range(builder, height) as loop:
            place = builder.add(builder.mul(loop.index, size), arguments[1])
            pointer = builder.bitcast(builder.gep(items.data, [place]), lanes.as_pointer())
            words = builder.load(pointer, align=8)
            code_word = builder.load(builder.gep(query.data, [loop.index]))
            bits = builder.call(ctpop, [builder.xor(words, repeat(code_word))])
            builder.store(builder.add(builder.load(far), bits), far)
        nearer = builder.icmp_unsigned("<", builder.load(far), repeat(arguments[3]))
        return builder.bitcast(nearer, ir.IntType(RUN))

    return types.uint64(gallery, types.int64, code, types.int64), generate


nearer_bits: Any = intrinsic(_declare_nearer)
