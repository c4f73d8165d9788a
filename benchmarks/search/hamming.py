"""Search codes and vectors, against the exact indexes of FAISS with the same number of threads.

    python -m benchmarks.search

The 100 nearest among 10^4 to 10^7 codes of 64 and 128 bits (rival: IndexBinaryFlat, with its heap
or with counting, whichever is faster in each turn) and among 10^4 to 10^6 vectors (rival:
IndexFlatIP), in batches and with one query per call; one query over 10^7 codes, in memory and
memory-mapped, against a plain read of the same bytes by NumPy; and opening a library of 10^6 codes.
The process is pinned to as many cores as it has threads. NumPy requests large pages and FAISS does
not, which explains part of the advantage of single queries.

Ratios have quartiles, in wall time, which the bars use, and in processor time, which hardly depends
on other processes. The result is written to benchmarks/results/search.json, or to search_avx2.json
where the processor has no AVX-512 VPOPCNTDQ.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.machine import describe_machine, instruction_set, named_by_instructions
from benchmarks.pairs import CLOCKS, Turns, ratio, take_turns, verdict
from benchmarks.search.opening import time_opening
from facehash.files import write_json
from facehash.hamming.search import top_k
from facehash.hamming.words import CodeWords
from facehash.index.exact import ExactIndex
from facehash.vectors import Space

RESULT = Path(__file__).parents[1] / "results" / "search.json"
K, DIMENSION = 100, 128
CODES, VECTORS = (10**4, 10**5, 10**6, 10**7), (10**4, 10**5, 10**6)
# Queries per turn: enough for some tenths of a second.
BATCH = {10**4: 2048, 10**5: 512, 10**6: 64, 10**7: 32}
SINGLES = {10**4: 256, 10**5: 128, 10**6: 16, 10**7: 4}
FASTER, READS, OPENS = 3.0, 1.3, 0.2
# For codes of 64 bits, which FAISS counts by one instruction per code.
FASTER_64 = {"AVX-512 VPOPCNTDQ": 6.0, "AVX2": 4.0}
Search = Callable[[np.ndarray], np.ndarray]


def draw_codes(rows: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw packed codes uint8 (rows, bytes), and queries close to some of them."""
    rng = np.random.default_rng(rows + bits)
    gallery = rng.integers(0, 256, (rows, bits // 8), np.uint8)
    some = gallery[rng.integers(0, rows, BATCH[rows])]
    # The conjunction of three random bits flips an eighth of the bits.
    flips = np.bitwise_and.reduce(rng.integers(0, 256, (3, *some.shape), np.uint8))
    return gallery, some ^ flips


def code_searches(gallery: np.ndarray, bits: int, threads: int) -> dict[str, Search]:
    """Prepare facehash and both modes of FAISS; each search returns distances."""
    words = CodeWords.of(gallery, bits)
    searches: dict[str, Search] = {
        "ours": lambda queries: top_k(words, queries, bits, K, threads=threads).distances
    }
    index = faiss.IndexBinaryFlat(bits)
    index.add(gallery)

    def search(queries: np.ndarray, heap: bool) -> np.ndarray:
        index.use_heap = heap
        return index.search(queries, K)[0]

    searches["FAISS, heap"] = lambda queries: search(queries, True)
    searches["FAISS, counting"] = lambda queries: search(queries, False)
    return searches


def vector_searches(rows: int) -> tuple[np.ndarray, dict[str, Search]]:
    """Draw vectors of length 1, and prepare both searches, which return cosine distances."""
    rng = np.random.default_rng(rows)
    gallery = rng.standard_normal((rows, DIMENSION), np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    ours = ExactIndex.build(gallery, np.arange(rows), Space("cosine", DIMENSION))
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(gallery)
    queries = gallery[rng.integers(0, rows, BATCH[rows])]
    queries = queries + rng.standard_normal(queries.shape, np.float32) / 20
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    searches: dict[str, Search] = {
        "ours": lambda queries: ours.search(queries, K).distances,
        "FAISS": lambda queries: 1 - index.search(queries, K)[0],
    }
    return queries, searches


def compare(
    searches: dict[str, Search], queries: np.ndarray, one_by_one: int, turns: int
) -> dict[str, Any]:
    """Check that the searches agree; time them for all queries at once and for single queries."""
    answers = [search(queries[:8]) for search in searches.values()]
    agree = all(np.allclose(one, answers[0], atol=1e-5) for one in answers)
    found: dict[str, Any] = {"same_distances": agree}
    rivals = tuple(name for name in searches if name != "ours")
    singles = np.split(queries[:one_by_one], one_by_one)
    for mode, parts in (("batched", [queries]), ("one by one", singles)):
        methods = {
            name: lambda search=search, parts=parts: [search(part) for part in parts]
            for name, search in searches.items()
        }
        seconds, count = take_turns(methods, turns, CLOCKS), sum(map(len, parts))
        found[mode] = {
            "queries": count,
            "queries_a_second": {
                clock: {name: round(count / statistics.median(t), 1) for name, t in spent.items()}
                for clock, spent in seconds.items()
            },
            "times_faster": {
                clock: ratio(spent, "ours", rivals) for clock, spent in seconds.items()
            },
        }
    return found


def compare_with_reading(words: CodeWords, query: np.ndarray, options: argparse.Namespace) -> Any:
    """Time one query over codes of 64 bits, and only reading the same bytes."""
    memory = words.words[0]
    methods = {
        "one query": lambda: top_k(words, query, 64, K, threads=options.threads),
        "sum": lambda: np.add.reduce(memory),
        "exclusive or": lambda: np.bitwise_xor.reduce(memory),
    }
    seconds = take_turns(methods, 8 * options.turns, CLOCKS)
    return {
        "milliseconds": {
            clock: {name: round(1e3 * statistics.median(t), 3) for name, t in one.items()}
            for clock, one in seconds.items()
        },
        "times_a_read": {clock: invert(one) for clock, one in seconds.items()},
    }


def compare_with_reads(options: argparse.Namespace) -> dict[str, Any]:
    """Compare with reading, for codes in memory and for codes mapped from a file."""
    gallery, queries = draw_codes(options.largest, 64)
    words = CodeWords.of(gallery, 64)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "words.npy", words.words)
        mapped = CodeWords(np.load(Path(folder) / "words.npy", mmap_mode="r"), 64)
        places = {"in memory": words, "mapped from a file": mapped}
        return {
            place: {"rows": len(held)} | compare_with_reading(held, queries[:1], options)
            for place, held in places.items()
        }


def invert(seconds: Turns) -> dict[str, Any]:
    """Compare one query with the read that has the lower median time."""
    read = min(("sum", "exclusive or"), key=lambda name: statistics.median(seconds[name]))
    return ratio(seconds, read, ("one query",)) | {"read": read}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run all sizes up to the largest one."""
    faiss.omp_set_num_threads(options.threads)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    load, cases = os.getloadavg()[0], []
    for bits in (64, 128):
        for rows in (n for n in CODES if n <= options.largest):
            gallery, queries = draw_codes(rows, bits)
            searches = code_searches(gallery, bits, options.threads)
            found = compare(searches, queries, SINGLES[rows], options.turns)
            cases.append({"kind": "codes", "rows": rows, "bits": bits} | found)
            print(line(cases[-1]), flush=True)
    for rows in (n for n in VECTORS if n <= options.largest):
        queries, searches = vector_searches(rows)
        found = compare(searches, queries, SINGLES[rows], options.turns)
        cases.append({"kind": "vectors", "rows": rows, "dimension": DIMENSION} | found)
        print(line(cases[-1]), flush=True)
    return {
        "what": f"the {K} nearest, exactly, against FAISS's flat indexes",
        "threads": options.threads,
        "turns": options.turns,
        "machine": describe_machine("numpy", "numba", "faiss-cpu"),
        "instruction_set": instruction_set(),
        "load_of_the_machine": {"before": round(load, 1), "after": round(os.getloadavg()[0], 1)},
        "cases": cases,
        "reading": compare_with_reads(options),
        "opening": time_opening(*draw_codes(min(10**6, options.largest), 64), options.turns),
    }


def judge(result: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return for every bar whether it is met, in wall time and in processor time."""
    bars: dict[str, dict[str, str]] = {}
    for case in result["cases"]:
        if case["kind"] == "codes" and case["rows"] >= 10**6:
            faster = FASTER
            if case["bits"] == 64:
                faster = FASTER_64.get(result["instruction_set"], FASTER)
            name = f"{case['bits']} bits, {case['rows']:,}: batched {faster:g} times FAISS"
            found = case["batched"]["times_faster"]
            bars[name] = {clock: verdict(found[clock], faster) for clock in found}
    for place, read in result["reading"].items():
        if read["rows"] < CODES[-1]:
            continue
        name = f"one query over {read['rows']:,} {place}: at most {READS} times a plain read"
        found = read["times_a_read"]
        bars[name] = {clock: verdict(found[clock], READS, most=True) for clock in found}
    name = f"opening a library of {result['opening']['rows']:,} codes: under {OPENS} s"
    opened = result["opening"]["milliseconds"]["open"] < 1e3 * OPENS
    return bars | {name: {"wall": "met" if opened else "missed"}}


def line(case: dict[str, Any]) -> str:
    """Format a case for the terminal."""
    size = f"{case['bits']} bits" if "bits" in case else f"{case['dimension']} floats"
    parts = [f"{size:>10} {case['rows']:>10,}"]
    for mode in ("batched", "one by one"):
        speed = case[mode]["queries_a_second"]["wall"]["ours"]
        times = case[mode]["times_faster"].values()
        ratios = ["{:.2f} ({:.2f}-{:.2f})".format(t["median"], *t["quartiles"]) for t in times]
        parts.append(f"{mode} {speed:>9,.0f}/s, times FAISS {ratios[0]}, processor {ratios[1]}")
    return " | ".join(parts)


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search",
        description="Search codes and vectors; compare with the exact indexes of FAISS.",
        epilog="example: python -m benchmarks.search --largest 100000 --turns 3 --no-store",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads, and cores (default 1)")
    parser.add_argument("--turns", type=int, default=9, help="turns per method (default 9)")
    parser.add_argument("--largest", type=int, default=10**7, choices=CODES, help="largest size")
    parser.add_argument("--no-store", action="store_true", help="do not write the result")
    options = parser.parse_args()
    if options.turns < 2:
        parser.error("quartiles need at least 2 turns")
    result = measure(options)
    result["bars"] = judge(result)
    print("reading", result["reading"], "\nopening", result["opening"])
    if not options.no_store:
        write_json(named_by_instructions(RESULT), result)
    for bar, verdicts in result["bars"].items():
        print(f"{bar}: " + ", ".join(f"{what} ({clock})" for clock, what in verdicts.items()))
