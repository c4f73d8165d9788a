"""LLVM code that compares 1024 codes of one word with a query by adding up single bits.

A plane is one bit of many codes, 512 to a register of AVX-512. Two logical instructions of three
operands add three planes: one gives the sum modulo two, the other the carry. A tree of such adders
counts the unequal bits of 512 codes in 80 instructions; counting the bits of each code takes 192.

* The first adders, of three planes each, depend on a query only in its three bits. Their results
  for all eight values are computed once for all queries, in tables, from which each query takes 43
  registers: carry and sum of each triple, and the plane that is left over.
* The tree also adds 64 - bound: the sum is below 64 where a code is nearer than the bound, so only
  the last carry is of interest.

`plane_counts` uses the same planes to count distances.

Numba's cache checks only the file of a kernel: after a change here, change `nearest_numba` and
`count_numba` too.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from facehash.hamming.llvm.intrinsics import cgutils, compile_kernel, popcount

BITS_OF_PLANES, LEVELS = 64, 6  # of a code; of a bound
_LANES, _SIDES = 8, 2  # words in a register; registers of a plane
MANY_CODES = BITS_OF_PLANES * _LANES * _SIDES
TRIPLES = BITS_OF_PLANES // 3  # one plane is left over
STEPS = 2 * TRIPLES + 1  # entries of the tables that a query takes
# Of a triple: the carry for each value of the query's bits, and the sum for both parities of them.
ENTRIES, ENTRY_OF_SUM = 10, 8
ENTRY = _LANES * _SIDES  # words
TABLES = (TRIPLES * ENTRIES + 2) * ENTRY  # words
_BYTE, _INT, _WORD = (ir.IntType(bits) for bits in (8, 32, 64))
_WORDS, _BYTES = ir.VectorType(_WORD, _LANES), ir.VectorType(_BYTE, 8 * _LANES)
# Truth tables: of the operands of an instruction, and of functions of them.
_A, _B, _C = 0xF0, 0xCC, 0xAA
SUM = _A ^ _B ^ _C
CARRY = _A & _B | _A & _C | _B & _C
_CARRY_OF_SUM = SUM & _B | SUM & _C | _B & _C  # if the sum replaces the first operand
_CHOICE = _A & _B | ~_A & 0xFF & _C


@compile_kernel("UniTuple(int64, 2)(uint64)", inline=True)
def find_entries(bits):  # type: ignore[no-untyped-def]
    """Return the numbers of the entries of a triple, of its carry and of its sum.

    Args:
        bits: uint64, of which the lowest three are those of a query.
    """
    own = bits & np.uint64(7)
    return np.int64(own), ENTRY_OF_SUM + np.int64(popcount(own) & np.uint64(1))


def has_planes(features: str) -> bool:
    """Return whether a processor has the logical instructions of three operands.

    Args:
        features: As LLVM writes them.

    Example:
        >>> has_planes("+avx2,-avx512f")
        False
    """
    return "+avx512f" in features.split(",")


def host_features() -> str:
    """Return the features of the processor that Numba compiles for."""
    features: str = cpu_target.target_context.codegen().magic_tuple()[2]
    return features


def logic(builder: Any, truth: int, *operands: Any) -> Any:
    """Combine three registers bit by bit, by a truth table."""
    if has_planes(host_features()):
        kind = ir.FunctionType(_WORDS, [_WORDS] * 3 + [_INT])
        name = "llvm.x86.avx512.pternlog.q.512"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, [*operands, ir.Constant(_INT, truth)])
    total = _splat(0)
    for row in range(8):
        if truth >> row & 1:
            bits = [row >> 2, row >> 1 & 1, row & 1]
            given = [
                one if bit else builder.not_(one) for one, bit in zip(operands, bits, strict=True)
            ]
            total = builder.or_(total, builder.and_(given[0], builder.and_(*given[1:])))
    return total


def _splat(word: int) -> Any:
    return ir.Constant(_WORDS, [word] * _LANES)


def _offset(builder: Any, start: Any, words: int) -> Any:
    return builder.add(start, ir.Constant(_WORD, words))


def _pointer(builder: Any, data: Any, index: Any) -> Any:
    return builder.bitcast(builder.gep(data, [index]), _WORDS.as_pointer())


def _declare_fill(typing_context: Any, gallery: Any, first: Any, tables: Any) -> Any:
    """Fill the tables of MANY_CODES codes of one word, from the first one on.

    The tables, uint64 (TABLES,), must start at a multiple of 64 bytes.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        codes, tables = (
            context.make_array(signature.args[i])(context, builder, arguments[i]).data
            for i in (0, 2)
        )
        kept = cgutils.alloca_once(builder, ir.ArrayType(_WORDS, BITS_OF_PLANES))
        kept.align = 64
        planes = builder.bitcast(kept, _WORD.as_pointer())
        with cgutils.for_range(builder, ir.Constant(_WORD, _SIDES)) as loop:
            one_side = ir.Constant(_WORD, BITS_OF_PLANES * _LANES)
            start = builder.add(arguments[1], builder.mul(loop.index, one_side))
            transpose(builder, builder.gep(codes, [start]), planes)
            place = builder.mul(loop.index, ir.Constant(_WORD, _LANES))
            output = builder.gep(tables, [place])
            add_triples(builder, planes, output, ir.Constant(_WORD, TRIPLES), ENTRY)
            left = ir.Constant(_WORD, _LANES * (BITS_OF_PLANES - 1))
            last = builder.load(_pointer(builder, planes, left), align=64)
            for number, value in enumerate((last, builder.not_(last))):
                place = ir.Constant(_WORD, (TRIPLES * ENTRIES + number) * ENTRY)
                builder.store(value, _pointer(builder, output, place), align=64)
        return context.get_dummy_value()

    return types.void(gallery, types.int64, tables), generate


def transpose(builder: Any, codes: Any, planes: Any) -> None:
    """Exchange registers and bits: bit i of word w of plane b is bit b of code 8 i + w."""
    # In loops over groups of eight registers, because 64 do not fit into the processor.
    for source, apart, group in ((codes, 8, 1), (planes, 1, 8)):
        with cgutils.for_range(builder, ir.Constant(_WORD, 8)) as loop:
            start = builder.mul(loop.index, ir.Constant(_WORD, _LANES * group))
            places = [_offset(builder, start, _LANES * apart * i) for i in range(8)]
            rows = [
                builder.load(_pointer(builder, source, place), align=8 if source is codes else 64)
                for place in places
            ]
            for step in (4, 2, 1):
                bits = step * apart
                low = _splat(sum(1 << bit for bit in range(64) if not bit & bits))
                for i in range(8):
                    if i & step:
                        continue
                    one, other = rows[i], rows[i + step]
                    up, down = builder.shl(other, _splat(bits)), builder.lshr(one, _splat(bits))
                    rows[i] = logic(builder, _CHOICE, low, one, up)
                    rows[i + step] = logic(builder, _CHOICE, low, down, other)
            for row, place in zip(rows, places, strict=True):
                builder.store(row, _pointer(builder, planes, place), align=64)


def add_triples(builder: Any, planes: Any, tables: Any, count: Any, entry: int) -> None:
    """Store the carry and the sum of every three planes, for all values of a query's bits.

    Args:
        builder: Of the code.
        planes: Address of the planes, a register each.
        tables: Address of the output: ENTRIES for each triple.
        count: Number of triples, a word.
        entry: Words from one entry to the next.
    """
    with cgutils.for_range(builder, count) as loop:
        start = builder.mul(loop.index, ir.Constant(_WORD, 3 * _LANES))
        a, b, c = (
            builder.load(_pointer(builder, planes, _offset(builder, start, _LANES * i)), align=64)
            for i in range(3)
        )
        carry, total = logic(builder, CARRY, a, b, c), builder.xor(a, builder.xor(b, c))
        # If one operand is inverted, the carry changes where the other two differ.
        values = {0: carry}
        for own, others in ((1, (b, c)), (2, (a, c)), (4, (a, b))):
            values[own] = builder.xor(carry, builder.xor(*others))
        values |= {7 - own: builder.not_(value) for own, value in values.items()}
        values |= {ENTRY_OF_SUM: total, ENTRY_OF_SUM + 1: builder.not_(total)}
        start = builder.mul(loop.index, ir.Constant(_WORD, ENTRIES * entry))
        for number, value in values.items():
            place = _offset(builder, start, entry * number)
            builder.store(value, _pointer(builder, tables, place), align=64)


fill_planes: Any = intrinsic(_declare_fill)


def _declare_compare(
    typing_context: Any, tables: Any, steps: Any, limits: Any, row: Any, masks: Any
) -> Any:
    """Compare the codes of the tables with the bound of one query: is one of them nearer?

    Its arguments: tables; steps uint16 (q, STEPS) and limits int64 (q, LEVELS) of all queries, see
    `nearest_numba`; the query's row; and masks uint64 (MANY_CODES / 64,). Only if a code is nearer,
    they are written: bit i of mask r is set if code 64 r + i is nearer.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tables, steps, limits, masks = (
            context.make_array(signature.args[i])(context, builder, arguments[i]).data
            for i in (0, 1, 2, 4)
        )

        def of_row(data: Any, size: int, place: int) -> Any:
            start = builder.mul(arguments[3], ir.Constant(_WORD, size))
            return builder.load(builder.gep(data, [_offset(builder, start, place)]))

        def limit(level: int) -> list[Any]:
            none = ir.Constant(_WORDS, ir.Undefined)
            word = of_row(limits, LEVELS, level)
            one = builder.insert_element(none, word, ir.Constant(_INT, 0))
            order = ir.Constant(ir.VectorType(_INT, _LANES), [0] * _LANES)
            return [builder.shuffle_vector(one, none, order)] * _SIDES

        def take(step: int) -> list[Any]:
            start = builder.zext(of_row(steps, STEPS, step), _WORD)
            places = [_offset(builder, start, _LANES * side) for side in range(_SIDES)]
            return [builder.load(_pointer(builder, tables, place), align=64) for place in places]

        def add(level: int, planes: list[Any]) -> None:
            waiting[level].append(planes)
            if len(waiting[level]) == 3:
                first, *others = waiting[level]
                total = [logic(builder, SUM, *three) for three in zip(first, *others, strict=True)]
                # The carry follows from the sum too, so no register must be copied before.
                carry = [
                    logic(builder, _CARRY_OF_SUM, *three)
                    for three in zip(total, *others, strict=True)
                ]
                waiting[level] = [total]
                add(level + 1, carry)

        waiting = [[limit(level)] for level in range(LEVELS)] + [[]]
        add(0, take(2 * TRIPLES))
        for t in range(TRIPLES):
            add(1, take(2 * t))
            add(0, take(2 * t + 1))
        (far,) = waiting[LEVELS]
        unequal = builder.icmp_unsigned("!=", builder.and_(*far), _splat(-1))
        some = builder.icmp_unsigned("!=", builder.bitcast(unequal, _BYTE), ir.Constant(_BYTE, 0))
        with builder.if_then(some, likely=False):
            for side, words in enumerate(far):
                place = ir.Constant(_WORD, _LANES * side)
                ordered = _in_order(builder, builder.not_(words))
                builder.store(ordered, _pointer(builder, masks, place), align=8)
        return some

    return types.boolean(tables, steps, limits, types.int64, masks), generate


def _in_order(builder: Any, near: Any) -> Any:
    """Order the bits as the codes: bit 8 m + w of word r was bit 8 r + m of word w."""
    order = [8 * word + byte for byte in range(8) for word in range(8)]
    data = builder.bitcast(near, _BYTES)
    chosen = ir.Constant(ir.VectorType(_INT, 64), order)
    words = builder.bitcast(builder.shuffle_vector(data, data, chosen), _WORDS)
    # Each word is now eight rows of eight bits. The masks have the lower bits of those to exchange.
    for shift, mask in ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0xF0F0F0F0)):
        unequal = builder.and_(builder.xor(words, builder.lshr(words, _splat(shift))), _splat(mask))
        words = builder.xor(words, builder.xor(unequal, builder.shl(unequal, _splat(shift))))
    return words


compare_planes: Any = intrinsic(_declare_compare)
