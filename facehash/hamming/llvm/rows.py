"""LLVM code that counts unequal bits of four queries and 64 codes at once, in bytes of registers.

Most processors cannot count the bits of each 64-bit word of a register in one instruction, but all
have one for 16 or 32 bytes. So codes are first rearranged into rows: byte i of row t of a run is
the t-th piece of code i of that run. A piece is

* 4 bits (nibble) where an instruction looks up 16 entries of a table (SSSE3, AVX2): the table of a
  query has the number of bits in which each nibble differs from its own;
* a byte where an instruction counts the bits of each byte (64-bit ARM).

Each row is loaded once for four queries, and the comparison with their bounds takes one instruction
per 16 or 32 codes. Reference: Mula, Kurz, Lemire. Faster population counts using AVX2 instructions.
2018. Processors with a count per word (AVX-512 VPOPCNTDQ) do not need rows.

Numba's cache checks only the file of a kernel: after a change here, change `count_numba` and
`nearest_numba` too.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, Literal

from llvmlite import ir
from numba.core import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from facehash.hamming.llvm.intrinsics import RUN, cgutils
from facehash.hamming.llvm.nibbles import look_up, split_into

Layout = Literal["words", "nibbles", "bytes"]
TOGETHER = 4  # queries per load of a row
MOST = 252  # bits of a code: distances must fit into bytes, and a bound may be one larger
_HALF, _ENTRIES = 32, 16
_BYTE, _INT, _WORD = (ir.IntType(bits) for bits in (8, 32, 64))
_PIECE, _BYTES = ir.VectorType(_BYTE, _ENTRIES), ir.VectorType(_BYTE, _HALF)


def choose_layout(machine: str, features: str) -> Layout:
    """Choose how codes are rearranged for the queries of a batch.

    Args:
        machine: Such as ``"x86_64"``.
        features: Of the processor, as LLVM writes them: ``"+avx2,-avx512f"``.

    Returns:
        ``"words"`` leaves them as they are.

    Example:
        >>> choose_layout("x86_64", "+ssse3,+avx2")
        'nibbles'
    """
    given = features.split(",")
    if machine in ("aarch64", "arm64"):
        return "bytes"
    return "nibbles" if "+ssse3" in given and "+avx512vpopcntdq" not in given else "words"


def host_layout() -> Layout:
    """Choose the layout for the processor that Numba compiles for."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    return choose_layout(triple.split("-")[0], features)


def piece_bits(layout: Layout) -> int:
    """Return the number of bits of a code in each row."""
    return 8 if layout == "bytes" else 4


def splitter(layout: Layout) -> Any:
    """Return the function that rearranges one word of RUN codes.

    Its arguments: codes uint64 (words, n), word, first code, and the rows, uint8 (rows * RUN,).
    """
    return intrinsic(split_into(piece_bits(layout)))


def comparer(layout: Layout) -> Any:
    """Return the function that compares RUN codes with the bounds of four queries.

    Its arguments: rows, the place of the run's first row, tables uint8 (rows * TOGETHER * 16,),
    number of rows, bounds uint8 (TOGETHER,), and masks uint64 (TOGETHER,). Returns whether any
    code is nearer to a query than its bound; only then the masks are written: bit i of each is set
    if code i is nearer to that query.
    """

    def finish(builder: Any, data: Any, place: Any, sums: list[list[Any]]) -> Any:
        bounds, masks = data
        near: list[list[Any]] = []
        for q, halves in enumerate(sums):
            limits = _repeat(builder, builder.load(builder.gep(bounds, [ir.Constant(_WORD, q)])))
            near.append([builder.icmp_unsigned("<", half, limits) for half in halves])
        anything = functools.reduce(builder.or_, itertools.chain(*near))
        some = builder.icmp_unsigned("!=", builder.bitcast(anything, _INT), ir.Constant(_INT, 0))
        # Rarely true, so the masks of the four queries are seldom computed.
        with builder.if_then(some, likely=False):
            for q, halves in enumerate(near):
                low, high = (builder.zext(builder.bitcast(half, _INT), _WORD) for half in halves)
                mask = builder.or_(low, builder.shl(high, ir.Constant(_WORD, _HALF)))
                builder.store(mask, builder.gep(masks, [ir.Constant(_WORD, q)]))
        return some

    return _over_rows(layout, finish, types.boolean, place=False)


def measurer(layout: Layout) -> Any:
    """Return the function that stores the distances of RUN codes from four queries.

    Its arguments: rows, the place of the run's first row, tables, number of rows, distances uint8
    (TOGETHER, n), and the position of the run in them.
    """

    def finish(builder: Any, data: Any, place: Any, sums: list[list[Any]]) -> Any:
        output, size = data
        for q, halves in enumerate(sums):
            start = builder.add(builder.mul(size, ir.Constant(_WORD, q)), place)
            for side, half in enumerate(halves):
                target = builder.gep(output, [builder.add(start, ir.Constant(_WORD, _HALF * side))])
                builder.store(half, builder.bitcast(target, _BYTES.as_pointer()), align=1)
        return None

    return _over_rows(layout, finish, types.void, place=True)


def _over_rows(layout: Layout, finish: Callable[..., Any], result: Any, place: bool) -> Any:
    """Return an intrinsic that sums over the rows of a run and calls `finish` with the sums."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def array(position: int) -> Any:
            kind = signature.args[position]
            return context.make_array(kind)(context, builder, arguments[position])

        rows, tables, first, count = array(0).data, array(2).data, arguments[1], arguments[3]
        zeros = ir.Constant(_BYTES, [0] * _HALF)
        sums = [
            [cgutils.alloca_once_value(builder, zeros) for _ in (0, 1)] for _ in range(TOGETHER)
        ]
        for pair in sums:
            for part in pair:  # the place is the same each time the run is called
                builder.store(zeros, part)

        def load(data: Any, index: Any, kind: Any) -> Any:
            pointer = builder.bitcast(builder.gep(data, [index]), kind.as_pointer())
            return builder.load(pointer, align=1)

        def times(index: Any, step: int, offset: int = 0) -> Any:
            scaled = builder.mul(index, ir.Constant(_WORD, step))
            return builder.add(scaled, ir.Constant(_WORD, offset))

        with cgutils.for_range(builder, count) as loop:
            pieces = [
                load(rows, builder.add(first, times(loop.index, RUN, _HALF * side)), _BYTES)
                for side in (0, 1)
            ]
            for q in range(TOGETHER):
                index = times(loop.index, TOGETHER * _ENTRIES, _ENTRIES * q)
                table = load(tables, index, _PIECE)
                for piece, part in zip(pieces, sums[q], strict=True):
                    found = _count(builder, context, layout, table, piece)
                    builder.store(builder.add(builder.load(part), found), part)
        loaded = [[builder.load(part) for part in pair] for pair in sums]
        if place:
            output = array(4)
            size = builder.extract_value(output.shape, 1)
            finish(builder, (output.data, size), arguments[5], loaded)
            return context.get_dummy_value()
        return finish(builder, (array(4).data, array(5).data), None, loaded)

    def declare(
        typing_context: Any, rows: Any, first: Any, tables: Any, count: Any, one: Any, other: Any
    ) -> Any:
        last = types.int64 if place else other
        return result(rows, types.int64, tables, types.int64, one, last), generate

    return intrinsic(declare)


def _count(builder: Any, context: Any, layout: Layout, table: Any, pieces: Any) -> Any:
    """Return the number of bits in which each of 32 pieces differs from the query's."""
    if layout == "nibbles":
        return look_up(builder, context, table, pieces)
    order = ir.Constant(ir.VectorType(_INT, _HALF), [*range(_ENTRIES)] * 2)
    both = builder.shuffle_vector(table, table, order)
    kind = ir.FunctionType(_BYTES, [_BYTES])
    ctpop = cgutils.get_or_insert_function(builder.module, kind, f"llvm.ctpop.v{_HALF}i8")
    return builder.call(ctpop, [builder.xor(pieces, both)])


def _repeat(builder: Any, byte: Any) -> Any:
    none = ir.Constant(_BYTES, ir.Undefined)
    one = builder.insert_element(none, byte, ir.Constant(_INT, 0))
    zeros = ir.Constant(ir.VectorType(_INT, _HALF), [0] * _HALF)
    return builder.shuffle_vector(one, none, zeros)
