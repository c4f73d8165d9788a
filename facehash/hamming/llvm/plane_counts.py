"""LLVM code that counts how many of 512 codes are at each distance from a query.

A plane is one bit of many codes, and a register has the plane of 256 (AVX2) or 512 codes (AVX-512).
The planes of a gallery, and their tables, are made once for many queries. For each query,

* `add_planes` adds the planes of unequal bits by logical instructions: a tree of adders of three
  planes (carry-save adders), whose first results are in tables, see `planes`. The sums are planes
  too, one for each bit of the distances;
* `count_sums` combines them to a plane for each distance, and counts its bits. Sixteen distances
  share their upper bits, and four of them all but two; they are passed over together if none of
  the codes has these.

No distance is written to memory, and no count waits for the one before it. The order of the 512
codes does not matter. Reference for the adders: Mula, Kurz, Lemire. Faster population counts using
AVX2 instructions. 2018.

Numba's cache checks only the file of a kernel: after a change here, change `count_numba` too.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from facehash.hamming.llvm.intrinsics import cgutils
from facehash.hamming.llvm.planes import (
    CARRY,
    ENTRIES,
    SUM,
    add_triples,
    has_planes,
    host_features,
    logic,
    transpose,
)

SIDE = 512  # codes
PLANE = SIDE // 64  # words of a plane of them
SUMS = 8  # planes of a distance
LONGEST = 255  # bits of a code
COUNTS = LONGEST + 1  # rows of counts
AT_ONCE = 8  # triples of planes that are added in one step
BITS_AT_ONCE = 3 * AT_ONCE
TABLES = ENTRIES * AT_ONCE * PLANE  # words of a step
_LOW, _UPPER = 2, 4  # bits 0 and 1 of a distance are its last, 2 and 3 its middle ones
SHARING = 2**_UPPER  # distances that share all other bits
_WORD = ir.IntType(64)


def most_bits(features: str) -> int:
    """Return the length of the longest codes of which planes are the fastest way to count.

    Args:
        features: Of the processor, as LLVM writes them.

    Example:
        >>> most_bits("+ssse3,-avx2"), most_bits("+avx2,-avx512f"), most_bits("+avx2,+avx512f")
        (0, 64, 255)
    """
    if has_planes(features):
        return LONGEST
    # An adder takes five instructions there, and longer codes need more adders per bit.
    return 64 if "+avx2" in features.split(",") else 0


class _Registers:
    """Registers of one width, in LLVM code."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.context, self.builder = context, builder
        self.kinds, self.arguments = signature.args, arguments
        self.ternary = has_planes(host_features())
        self.lanes = 8 if self.ternary else 4
        self.register = ir.VectorType(_WORD, self.lanes)
        self.order = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)

    def data(self, position: int) -> Any:
        """Return the address of an argument that is an array."""
        return self._array(position).data

    def shape(self, position: int) -> list[Any]:
        """Return the shape of an argument that is an array of two dimensions."""
        shape = self._array(position).shape
        return [self.builder.extract_value(shape, i) for i in range(2)]

    def _array(self, position: int) -> Any:
        make = self.context.make_array(self.kinds[position])
        return make(self.context, self.builder, self.arguments[position])

    def number(self, value: int) -> Any:
        return ir.Constant(_WORD, value)

    def place(self, start: Any, step: Any, size: int, more: int = 0) -> Any:
        """Return ``start + size * step + more``."""
        builder = self.builder
        scaled = builder.mul(step, self.number(size))
        return builder.add(builder.add(start, scaled), self.number(more))

    def pointer(self, data: Any, index: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(data, [index]), self.register.as_pointer())

    def load(self, data: Any, index: Any) -> Any:
        return self.builder.load(self.pointer(data, index), align=8 * self.lanes)

    def store(self, value: Any, data: Any, index: Any) -> None:
        self.builder.store(value, self.pointer(data, index), align=8 * self.lanes)

    def fill(self, word: Any) -> Any:
        """Return a register of one word."""
        none = ir.Constant(self.register, ir.Undefined)
        one = self.builder.insert_element(none, word, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(one, none, self.order)

    def add(self, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
        """Add three planes; return the planes of the sum and of the carry."""
        builder = self.builder
        if self.ternary:
            return logic(builder, SUM, a, b, c), logic(builder, CARRY, a, b, c)
        unequal = builder.xor(a, b)
        carry = builder.or_(builder.and_(a, b), builder.and_(unequal, c))
        return builder.xor(unequal, c), carry

    def is_zero(self, plane: Any) -> Any:
        whole = ir.IntType(64 * self.lanes)
        return self.builder.icmp_unsigned(
            "==", self.builder.bitcast(plane, whole), ir.Constant(whole, 0)
        )

    def popcount(self, plane: Any) -> Any:
        kind = ir.FunctionType(self.register, [self.register])
        name = f"llvm.ctpop.v{self.lanes}i64"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [plane])


def _declare_fill(
    typing_context: Any, codes: Any, first: Any, steps: Any, planes: Any, tables: Any, start: Any
) -> Any:
    """Fill the tables of SIDE codes.

    Its arguments: codes uint64 (words, n); the first of them; the number of steps of `add_planes`;
    planes uint64 for 64 planes of each word and at least BITS_AT_ONCE * steps planes, those above
    64 * words zero; tables uint64; and where to put TABLES * steps words.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        state = _Registers(context, builder, signature, arguments)
        codes, planes, tables = (state.data(i) for i in (0, 3, 4))
        words, size = state.shape(0)
        with cgutils.for_range(builder, words) as loop:
            place = builder.add(builder.mul(loop.index, size), arguments[1])
            target = builder.mul(loop.index, state.number(64 * PLANE))
            transpose(builder, builder.gep(codes, [place]), builder.gep(planes, [target]))
        triples = builder.mul(arguments[2], state.number(AT_ONCE))
        add_triples(builder, planes, builder.gep(tables, [arguments[5]]), triples, PLANE)
        return context.get_dummy_value()

    wanted = codes, types.int64, types.int64, planes, tables, types.int64
    return types.void(*wanted), generate


fill_side: Any = intrinsic(_declare_fill)


def _declare_add(
    typing_context: Any, tables: Any, start: Any, places: Any, row: Any, steps: Any, sums: Any
) -> Any:
    """Add the planes of the bits in which SIDE codes differ from a query.

    Its arguments: tables; where those of the codes start; places uint32 (q, 2 * AT_ONCE * steps),
    the entries of each query for carry and sum of each triple, in words; the query's row; the
    number of steps; and sums uint64 (SUMS * PLANE,), the output.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        state = _Registers(context, builder, signature, arguments)
        tables, places, sums = (state.data(i) for i in (0, 2, 5))
        start, row, steps = arguments[1], arguments[3], arguments[4]
        own = builder.mul(row, builder.mul(steps, state.number(2 * AT_ONCE)))
        zeros = ir.Constant(state.register, [0] * state.lanes)
        kept = [cgutils.alloca_once_value(builder, zeros) for _ in range(SUMS)]
        for part in range(0, PLANE, state.lanes):
            for one in kept:
                builder.store(zeros, one)
            with cgutils.for_range(builder, steps) as loop:
                waiting = [[builder.load(one)] for one in kept]
                for i in range(2 * AT_ONCE):
                    number = builder.gep(places, [state.place(own, loop.index, 2 * AT_ONCE, i)])
                    place = state.place(start, builder.zext(builder.load(number), _WORD), 1, part)
                    _put(state, waiting, (i + 1) % 2, state.load(tables, place))
                for bit in range(SUMS):
                    _settle(state, waiting, bit)
                for one, (value,) in zip(kept, waiting, strict=True):
                    builder.store(value, one)
            for bit, one in enumerate(kept):
                state.store(builder.load(one), sums, state.number(PLANE * bit + part))
        return context.get_dummy_value()

    wanted = tables, types.int64, places, types.int64, types.int64, sums
    return types.void(*wanted), generate


def _put(state: _Registers, waiting: list[list[Any]], bit: int, plane: Any) -> None:
    """Add a plane to those of one bit of the sums; three of them make a sum and a carry."""
    if bit == SUMS:
        return  # it is zero: no distance has this bit
    waiting[bit].append(plane)
    if len(waiting[bit]) == 3:
        total, carry = state.add(*waiting[bit])
        waiting[bit] = [total]
        _put(state, waiting, bit + 1, carry)


def _settle(state: _Registers, waiting: list[list[Any]], bit: int) -> None:
    """Leave one plane of a bit."""
    if len(waiting[bit]) == 2:
        one, other = waiting[bit]
        waiting[bit] = [state.builder.xor(one, other)]
        _put(state, waiting, bit + 1, state.builder.and_(one, other))


add_planes: Any = intrinsic(_declare_add)


def _declare_count(typing_context: Any, sums: Any, bins: Any, counts: Any) -> Any:
    """Add the numbers of codes at each distance to those of each lane.

    Its arguments: sums as `add_planes` fills them; the number of possible distances; and counts
    uint64 (COUNTS * PLANE,), of which the first `bins` rows of PLANE change, rounded up to SHARING.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        state = _Registers(context, builder, signature, arguments)
        sums, counts = state.data(0), state.data(2)
        groups = builder.lshr(
            builder.add(arguments[1], state.number(SHARING - 1)), state.number(_UPPER)
        )
        for part in range(0, PLANE, state.lanes):
            planes = [state.load(sums, state.number(PLANE * bit + part)) for bit in range(SUMS)]
            last, middle = (_combine(state, planes[i : i + _LOW]) for i in (0, _LOW))
            with cgutils.for_range(builder, groups) as loop:
                group = None
                for bit, plane in enumerate(planes[_UPPER:]):
                    own = builder.and_(builder.lshr(loop.index, state.number(bit)), state.number(1))
                    # All bits where the distance has a 0.
                    flipped = builder.xor(plane, state.fill(builder.sub(own, state.number(1))))
                    group = flipped if group is None else builder.and_(group, flipped)
                with builder.if_then(builder.not_(state.is_zero(group))):
                    first = state.place(state.number(part), loop.index, PLANE * SHARING)
                    for number, plane in enumerate(middle):
                        few = builder.and_(group, plane)
                        with builder.if_then(builder.not_(state.is_zero(few))):
                            for value, mask in enumerate(last, 2**_LOW * number):
                                place = builder.add(first, state.number(PLANE * value))
                                found = state.popcount(builder.and_(few, mask))
                                total = builder.add(state.load(counts, place), found)
                                state.store(total, counts, place)
        return context.get_dummy_value()

    return types.void(sums, types.int64, counts), generate


def _combine(state: _Registers, planes: list[Any]) -> list[Any]:
    """Return for each value of some bits the plane of the codes that have it."""
    found = [ir.Constant(state.register, [-1] * state.lanes)]
    for plane in reversed(planes):
        both = state.builder.not_(plane), plane
        found = [state.builder.and_(one, side) for one in found for side in both]
    return found


count_sums: Any = intrinsic(_declare_count)
