"""How kernels are compiled, and LLVM code for loops that Numba would not vectorize.

Numba's cache checks only the file of a kernel: after a change here, change `count_numba`,
`nearest_numba` and `asymmetric_numba` too. `rows`, `planes` and `plane_counts` have the LLVM
code for several queries, `nibbles` that of asymmetric search.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils as untyped_cgutils
from numba.core import types
from numba.extending import intrinsic

cgutils: Any = untyped_cgutils
RUN = 64  # items that are compared with a bound at once, each a bit of one word
WIDE = 128  # items that are passed over at once if none of them is nearer than a bound
LINE = 8  # words of a cache line
_LANES = 8  # words in a register of AVX-512; elsewhere LLVM takes several registers
_INT, _WORD = ir.IntType(32), ir.IntType(64)
_ORDER, _WORDS, _HALVES = (
    ir.VectorType(kind, count)
    for kind, count in ((_INT, _LANES), (_WORD, _LANES), (_INT, 2 * _LANES))
)
_NONE = ir.Constant(_WORDS, ir.Undefined)

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


@compile_kernel("int64(uint64[::1])", inline=True)
def find_line(words):  # type: ignore[no-untyped-def]
    """Return the index of the first word, 0 to 7, at which a cache line starts."""
    return np.int64(-(words.ctypes.data // 8) % LINE)


def _declare_popcount(typing_context: Any, word: Any) -> Any:
    """Count the set bits of a word by LLVM's ctpop, one instruction of the processor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


popcount: Any = intrinsic(_declare_popcount)


def _declare_fetch(typing_context: Any, gallery: Any, item: Any) -> Any:
    """Request the cache line of an item's first word; the item may lie beyond the last."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, _INT, _INT, _INT])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # For reading, into all levels, as data.
        builder.call(prefetch, [pointer, *(ir.Constant(_INT, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(gallery, types.int64), generate


fetch: Any = intrinsic(_declare_fetch)


class _Codes:
    """Gallery uint64 (words, n) and one row of the queries uint64 (q, words), in LLVM code."""

    def __init__(
        self, context: Any, builder: Any, kinds: Any, gallery: Any, queries: Any, row: Any
    ):
        self.items, query = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(kinds, (gallery, queries), strict=True)
        )
        self.builder = builder
        self.words, self.size = (builder.extract_value(self.items.shape, i) for i in (0, 1))
        self.query = builder.gep(query.data, [builder.mul(row, self.words)])

    def repeat(self, one: Any) -> Any:
        """Fill a register with a word."""
        first = self.builder.insert_element(_NONE, one, ir.Constant(_INT, 0))
        return self.builder.shuffle_vector(first, _NONE, ir.Constant(_ORDER, [0] * _LANES))

    def far(self, place: Any, count: int) -> list[Any]:
        """Return the distances of `count` items from `place` on, registers of _LANES."""
        builder, places = self.builder, range(0, count, _LANES)
        start = self._unequal(ir.Constant(_WORD, 0), place, count)
        before = builder.block
        head, body, done = (builder.append_basic_block(f"words.{i}") for i in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        word, sums = builder.phi(_WORD), [builder.phi(_WORDS) for _ in places]
        builder.cbranch(builder.icmp_signed("<", word, self.words), body, done)
        builder.position_at_end(body)
        more = self._unequal(word, place, count)
        after = [builder.add(word, ir.Constant(_WORD, 1)), *map(builder.add, sums, more)]
        for value, first, later in zip(
            [word, *sums], [ir.Constant(_WORD, 1), *start], after, strict=True
        ):
            value.add_incoming(first, before)
            value.add_incoming(later, body)
        builder.branch(head)
        builder.position_at_end(done)
        return sums

    def far_in_one_word(self, place: Any, count: int) -> list[Any]:
        """Return the same for codes of one word."""
        return self._unequal(ir.Constant(_WORD, 0), place, count)

    def _unequal(self, word: Any, place: Any, count: int) -> list[Any]:
        builder = self.builder
        own = self.repeat(builder.load(builder.gep(self.query, [word])))
        start = builder.add(builder.mul(word, self.size), place)
        ctpop = _function(builder, _WORDS, 1, f"llvm.ctpop.v{_LANES}i64")
        found = []
        for i in range(0, count, _LANES):
            pointer = builder.gep(self.items.data, [builder.add(start, ir.Constant(_WORD, i))])
            words = builder.load(builder.bitcast(pointer, _WORDS.as_pointer()), align=8)
            found.append(builder.call(ctpop, [builder.xor(words, own)]))
        return found


def _function(builder: Any, kind: Any, operands: int, name: str) -> Any:
    return cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * operands), name
    )


def _declare_nearer(
    typing_context: Any, gallery: Any, start: Any, queries: Any, row: Any, bound: Any
) -> Any:
    """Compare RUN items with a bound: bit i of the result is set if item i is nearer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        gallery, start, queries, row, bound = arguments
        kinds = signature.args[0], signature.args[2]
        codes = _Codes(context, builder, kinds, gallery, queries, row)
        limits, mask = codes.repeat(bound), ir.Constant(_WORD, 0)
        for i, far in enumerate(codes.far(start, RUN)):
            near = builder.bitcast(builder.icmp_unsigned("<", far, limits), ir.IntType(_LANES))
            shift = ir.Constant(_WORD, _LANES * i)
            mask = builder.or_(mask, builder.shl(builder.zext(near, _WORD), shift))
        return mask

    return types.uint64(gallery, types.int64, queries, types.int64, types.int64), generate


nearer_bits: Any = intrinsic(_declare_nearer)


def _declare_skip(
    typing_context: Any, gallery: Any, start: Any, stop: Any, queries: Any, row: Any, bound: Any
) -> Any:
    """Return the start of the first WIDE items of which one is nearer than a bound.

    If there is none, return where fewer than WIDE items are left before `stop`. Only the smallest
    distance of each lane is compared with the bound: the comparison of every register would take
    the port that counts bits.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        gallery, start, stop, queries, row, bound = arguments
        kinds = signature.args[0], signature.args[3]
        codes = _Codes(context, builder, kinds, gallery, queries, row)
        limits, last = codes.repeat(bound), builder.sub(stop, ir.Constant(_WORD, WIDE))
        # In halves of words, whose minimum has a third of the latency; the upper ones are 0.
        least = _function(builder, _HALVES, 2, f"llvm.umin.v{2 * _LANES}i32")

        def search(measure: Callable[[Any, int], list[Any]]) -> None:
            before = builder.block
            head, body, done = (builder.append_basic_block(f"skip.{i}") for i in range(3))
            builder.branch(head)
            builder.position_at_end(head)
            place = builder.phi(_WORD)
            place.add_incoming(start, before)
            builder.cbranch(builder.icmp_signed("<=", place, last), body, done)
            builder.position_at_end(body)
            far = []
            for offset in range(0, WIDE, RUN):
                far += measure(builder.add(place, ir.Constant(_WORD, offset)), RUN)
            far = [builder.bitcast(one, _HALVES) for one in far]
            while len(far) > 1:
                far = [builder.call(least, far[i : i + 2]) for i in range(0, len(far), 2)]
            near = builder.icmp_unsigned("<", builder.bitcast(far[0], _WORDS), limits)
            mask = builder.bitcast(near, ir.IntType(_LANES))
            some = builder.icmp_unsigned("!=", mask, ir.Constant(mask.type, 0))
            place.add_incoming(builder.add(place, ir.Constant(_WORD, WIDE)), builder.block)
            builder.cbranch(some, done, head)
            builder.position_at_end(done)
            builder.store(place, result)

        result = cgutils.alloca_once(builder, _WORD)
        one_word = builder.icmp_signed("==", codes.words, ir.Constant(_WORD, 1))
        with builder.if_else(one_word) as (then, otherwise):
            with then:
                search(codes.far_in_one_word)
            with otherwise:
                search(codes.far)
        return builder.load(result)

    wanted = gallery, types.int64, types.int64, queries, types.int64, types.int64
    return types.int64(*wanted), generate


skip_far: Any = intrinsic(_declare_skip)
