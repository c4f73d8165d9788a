"""LLVM code for sums of table entries, one per 4 bits of a code, for 32 codes in one register.

The instruction that permutes the bytes of a register looks up 16 (SSSE3, NEON) or 32 (AVX2) entries
of a table of 16 bytes at once, if the entries' numbers are the bytes of the other operand. So codes
are first rearranged: byte i of row t of a run is the t-th nibble (4 bits) of code i of that run.
Reference: Andre, Kermarrec, Le Scouarnec. Cache locality is not enough: high-performance nearest
neighbor search with product quantization fast scan. 2015.

Numba's cache checks only the file of a kernel: after a change here, change `asymmetric_numba` too.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils as untyped_cgutils
from numba.core import types
from numba.extending import intrinsic

from facehash.hamming.llvm.intrinsics import RUN

cgutils: Any = untyped_cgutils
NIBBLES = 16  # of a word
_HALF = 32  # codes in one register of AVX2; elsewhere LLVM takes two registers
_BYTE, _SHORT, _INT, _WORD = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_PIECE, _BYTES, _SHORTS = (
    ir.VectorType(kind, count) for kind, count in ((_BYTE, 16), (_BYTE, _HALF), (_SHORT, RUN))
)


def split_into(bits: int) -> Any:
    """Declare the function that rearranges one word of RUN codes into rows of 4 or 8 bits.

    Its arguments: codes uint64 (words, n), word, first code, output. The output is uint8 (rows *
    RUN,): all first pieces, then all second ones, ...; a word has 64 / `bits` rows.
    """

    def declare(typing_context: Any, gallery: Any, word: Any, first: Any, output: Any) -> Any:
        return types.void(gallery, types.int64, types.int64, output), generate

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        codes, output = (
            context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 3)
        )
        size = builder.extract_value(codes.shape, 1)
        place = builder.add(builder.mul(arguments[1], size), arguments[2])
        for half in range(0, RUN, _HALF):
            for byte, values in enumerate(_transpose(builder, codes.data, place, half)):
                low = builder.and_(values, ir.Constant(_BYTES, [15] * _HALF))
                high = builder.lshr(values, ir.Constant(_BYTES, [4] * _HALF))
                pieces = [(byte, values)] if bits == 8 else [(2 * byte, low), (2 * byte + 1, high)]
                for t, piece in pieces:
                    target = builder.gep(output.data, [ir.Constant(_WORD, RUN * t + half)])
                    builder.store(piece, builder.bitcast(target, _BYTES.as_pointer()), align=1)
        return context.get_dummy_value()

    return declare


def _transpose(builder: Any, data: Any, place: Any, half: int) -> list[Any]:
    """Return for each byte of a word its values in the 32 codes from `place` + `half` on."""

    def load(first: int) -> Any:
        pointer = builder.gep(data, [builder.add(place, ir.Constant(_WORD, half + first))])
        return builder.load(builder.bitcast(pointer, _PIECE.as_pointer()), align=8)

    def pick(left: Any, right: Any, chosen: list[int]) -> Any:
        mask = ir.Constant(ir.VectorType(_INT, len(chosen)), chosen)
        return builder.shuffle_vector(left, right, mask)

    # Register r: codes 2r and 2r + 1, and 16 + 2r and 17 + 2r. All later steps stay within its two
    # lanes of 16 bytes, as AVX2 does.
    lanes = [[16 * lane + i for i in range(16)] for lane in (0, 1)]
    pairs = [b for i in range(8) for b in (i, 8 + i)]  # both first bytes, both second bytes, ...
    rows = [
        pick(load(2 * r), load(16 + 2 * r), [lane[i] for lane in lanes for i in pairs])
        for r in range(8)
    ]
    # Then three rounds interleave units of 2, 4 and 8 bytes of two registers.
    for unit in (2, 4, 8):
        halves: list[list[int]] = []
        for start in (0, 8):
            units = range(start, start + 8, unit)
            halves.append(
                [
                    side + lane + u + i
                    for lane in (0, 16)
                    for u in units
                    for side in (0, 32)
                    for i in range(unit)
                ]
            )
        step = {2: 1, 4: 2, 8: 4}[unit]
        mixed: list[Any] = [None] * 8
        for r in range(8):
            if not r & step:
                mixed[r] = pick(rows[r], rows[r | step], halves[0])
                mixed[r | step] = pick(rows[r], rows[r | step], halves[1])
        rows = mixed
    # Bits of a register's number were set from the top of a byte's number to its bottom.
    return [rows[(b & 1) << 2 | (b & 2) | b >> 2] for b in range(8)]


def _declare_below(typing_context: Any, nibbles: Any, tables: Any, words: Any, limit: Any) -> Any:
    """Sum table entries for RUN codes: bit i of the result is set if the sum is below the limit.

    The nibbles are those of all words of the codes, the tables uint8 (words * NIBBLES * 16,). The
    sum over a word stops at 255.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        codes, entries = (
            context.make_array(signature.args[i])(context, builder, arguments[i]).data
            for i in (0, 1)
        )
        total = cgutils.alloca_once_value(builder, ir.Constant(_SHORTS, [0] * RUN))
        builder.store(ir.Constant(_SHORTS, [0] * RUN), total)
        saturating = ir.FunctionType(_BYTES, [_BYTES, _BYTES])
        add = cgutils.get_or_insert_function(
            builder.module, saturating, f"llvm.uadd.sat.v{_HALF}i8"
        )

        def load(data: Any, step: Any, place: int, size: int, kind: Any) -> Any:
            index = builder.mul(step, ir.Constant(_WORD, NIBBLES * size))
            pointer = builder.gep(data, [builder.add(index, ir.Constant(_WORD, place))])
            return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)

        with cgutils.for_range(builder, arguments[2]) as loop:
            sums: list[Any] = [None, None]
            for t in range(NIBBLES):
                table = load(entries, loop.index, 16 * t, 16, _PIECE)
                for side in (0, 1):
                    numbers = load(codes, loop.index, RUN * t + _HALF * side, RUN, _BYTES)
                    found = look_up(builder, context, table, numbers)
                    sums[side] = builder.call(add, [sums[side], found]) if t else found
            order = ir.Constant(ir.VectorType(_INT, RUN), list(range(RUN)))
            both = builder.zext(builder.shuffle_vector(*sums, order), _SHORTS)
            builder.store(builder.add(builder.load(total), both), total)
        one = builder.trunc(arguments[3], _SHORT)
        none = ir.Constant(_SHORTS, ir.Undefined)
        first = builder.insert_element(none, one, ir.Constant(_INT, 0))
        zeros = ir.Constant(ir.VectorType(_INT, RUN), [0] * RUN)
        limits = builder.shuffle_vector(first, none, zeros)
        below = builder.icmp_unsigned("<", builder.load(total), limits)
        return builder.bitcast(below, ir.IntType(RUN))

    return types.uint64(nibbles, tables, types.int64, types.int64), generate


def look_up(builder: Any, context: Any, table: Any, numbers: Any) -> Any:
    """Return the entries of a table of 16 bytes that 32 bytes, 0 to 15, number."""
    target = context.codegen().magic_tuple()
    machine, features = target[0].split("-")[0], target[2].split(",")

    def pick(vector: Any, chosen: list[int]) -> Any:
        mask = ir.Constant(ir.VectorType(_INT, len(chosen)), chosen)
        return builder.shuffle_vector(vector, vector, mask)

    def call(name: str, kind: Any, *operands: Any) -> Any:
        function = ir.FunctionType(kind, [kind, kind])
        return builder.call(
            cgutils.get_or_insert_function(builder.module, function, name), operands
        )

    if "+avx2" in features:
        return call("llvm.x86.avx2.pshuf.b", _BYTES, pick(table, [*range(16)] * 2), numbers)
    parts = []
    for half in (0, 16):
        part = pick(numbers, [*range(half, half + 16)])
        if "+ssse3" in features:
            parts.append(call("llvm.x86.ssse3.pshuf.b.128", _PIECE, table, part))
        elif machine in ("aarch64", "arm64"):
            parts.append(call("llvm.aarch64.neon.tbl1.v16i8", _PIECE, table, part))
        else:
            entries = ir.Constant(_PIECE, ir.Undefined)
            for i in range(16):
                lane = ir.Constant(_INT, i)
                entry = builder.extract_element(table, builder.extract_element(part, lane))
                entries = builder.insert_element(entries, entry, lane)
            parts.append(entries)
    return builder.shuffle_vector(*parts, ir.Constant(ir.VectorType(_INT, 32), [*range(32)]))


split_run: Any = intrinsic(split_into(4))
below_limit: Any = intrinsic(_declare_below)
