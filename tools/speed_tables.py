"""Tables of the committed benchmarks: the speed of this project and of the alternatives."""

import json
from pathlib import Path
from typing import Any

from experiments.table.layout import markdown_rows

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"


def speed_table() -> str:
    """Tabulate each benchmark with the alternative that was measured in the same run."""
    scoring = [*_scoring_rows("evaluation"), *_scoring_rows("evaluation_avx2")]
    searching = [*_code_rows("search"), *_code_rows("search_avx2"), *_other_search_rows()]
    rows = [*scoring, _verification_row(), *_data_rows(), *_training_rows(), *searching]
    rows += _indexing_rows()
    return markdown_rows(["Task", "facehash", "Alternative", "Comparison"], rows)


def steps_table() -> str:
    """Tabulate how the time to index a photo divides into steps."""
    steps = _read("indexing")["milliseconds_a_photo"]
    total = sum(steps.values())
    rows = [[name, f"{spent:.1f} ms", f"{spent / total:.0%}"] for name, spent in steps.items()]
    return markdown_rows(["Step", "Time per photo, one core", "Share"], rows)


def _scoring_rows(name: str) -> list[list[str]]:
    if not (BENCHMARKS / f"{name}.json").exists():
        return []
    evaluation = _read(name)
    seconds = {way: values["median_seconds"] for way, values in evaluation["ways"].items()}
    size = evaluation["size"]
    return [
        [
            f"score {size['query']:,} queries, {size['gallery']:,} codes of {size['bits']} bits, "
            f"{evaluation['instruction_set']}",
            f"{seconds['numba']:.2f} s",
            f"{seconds[rival]:.1f} s, {words}",
            f"{evaluation['times_faster_than'][rival]:.0f} times faster",
        ]
        for rival, words in (
            ("one-hot argsort", "one argsort per query, one-hot labels (the usual code)"),
            ("lean argsort", "one argsort per query, integer labels"),
            ("numpy", "our NumPy kernels"),
        )
    ]


def _verification_row() -> list[str]:
    result = _read("code_verification")
    seconds = {name: found["median_seconds"] for name, found in result["methods"].items()}
    rival = "scikit-learn roc_curve"
    return [
        f"TAR at FAR of {result['size']['pairs']:,} pairs of codes",
        f"{seconds['facehash']:.2f} s",
        f"{seconds[rival]:.0f} s, `roc_curve` of scikit-learn on all pairs (extrapolated)",
        f"{seconds[rival] / seconds['facehash']:.0f} times faster",
    ]


def _data_rows() -> list[list[str]]:
    data = _read("data")
    ours, rival = data["tasks"]["ours_read_all"], data["tasks"]["rival_load"]
    converting = data["tasks"]["ours_convert"]
    return [
        [
            f"read {data['images']:,} faces from the cache",
            f"{ours['seconds']:.2f} s",
            f"{rival['seconds']:.1f} s, unpickle and concatenate",
            f"{rival['seconds'] / ours['seconds']:.0f} times faster",
        ],
        [
            "peak memory to convert them",
            f"{converting['peak_mb']:.0f} MB",
            f"{rival['peak_mb']:,.0f} MB, unpickle and concatenate",
            f"{rival['peak_mb'] / converting['peak_mb']:.0f} times less",
        ],
    ]


def _training_rows() -> list[list[str]]:
    rows = []
    for method, name in (("DDH", "training"), ("DCBH", "training_dcbh")):
        training = _read(name)
        speeds = {way: values["median"] for way, values in training["images_a_second"].items()}
        bare = max(("bare fit", "bare loop"), key=speeds.__getitem__)
        words = {"bare fit": "plain `model.fit`", "bare loop": "a loop without Keras's trainer"}
        ours = f"{speeds['ours']:,} images/s"
        equal = f"{speeds['bare loop, memory as ours']:,} images/s, {words['bare loop']}"
        rows += [
            [
                f"train {method}",
                ours,
                f"{speeds[bare]:,} images/s, {words[bare]}",
                _times(training["ratio_ours_to_the_faster_bare_loop"], "times its speed"),
            ],
            [
                f"train {method}",
                ours,
                f"{equal}, with our settings of memory",
                _times(
                    training["ratio_ours_to_a_bare_loop_with_our_memory_settings"],
                    "times its speed",
                ),
            ],
            [
                f"train {method} with flips and shifts",
                f"{speeds['ours, augmented']:,} images/s",
                f"{ours}, without them",
                _times(training["ratio_augmented_to_not"], "times its speed"),
            ],
        ]
    return rows


def _code_rows(name: str) -> list[list[str]]:
    if not (BENCHMARKS / f"{name}.json").exists():
        return []
    search = _read(name)
    rows = []
    for case in search["cases"]:
        if case["kind"] == "codes" and case["rows"] >= 10**6:
            batched = case["batched"]
            speeds = batched["queries_a_second"]["wall"]
            rival = max(speed for name, speed in speeds.items() if name != "ours")
            rows.append(
                [
                    f"find the 100 nearest of {case['rows']:,} codes of {case['bits']} bits, "
                    f"{search['instruction_set']}",
                    f"{speeds['ours']:,.0f} queries/s",
                    f"{rival:,.0f} queries/s, FAISS `IndexBinaryFlat`",
                    _times(batched["times_faster"]["wall"], "times faster"),
                ]
            )
    return rows


def _other_search_rows() -> list[list[str]]:
    search, rows = _read("search"), []
    for place, read in search["reading"].items():
        times = read["milliseconds"]["wall"]
        reading = read["times_a_read"]["wall"]
        rows.append(
            [
                f"one query, {read['rows']:,} codes {place}",
                f"{times['one query']:.1f} ms",
                f"{times[reading['read']]:.1f} ms, only reading the same bytes",
                _times(reading, "times its time"),
            ]
        )
    opening = search["opening"]
    milliseconds = f"{opening['milliseconds']['open']:.1f} ms"
    return [*rows, [f"open a library of {opening['rows']:,} codes", milliseconds, "", ""]]


def _indexing_rows() -> list[list[str]]:
    indexing = _read("indexing")
    speeds, memory = indexing["photos_a_second"], indexing["memory"]
    rows = [
        [
            f"index {indexing['photos']:,} photos, {words}",
            f"{speeds[ours]:.0f} photos/s",
            f"{speeds[rival]:.0f} photos/s, a plain script {of} on all cores",
            _times(indexing["times_faster"][f"{ours} / {rival}"], "times faster"),
        ]
        for ours, words, rival, of in (
            ("facehash", "with the extra `fast`", "script, OpenCV", "with OpenCV"),
            ("facehash", "with the extra `fast`", "script, our functions", "with our functions"),
            ("facehash, OpenCV", "without it", "script, OpenCV", "with OpenCV"),
        )
    ]
    _, early, *late = memory["peak_megabytes_by_tenth"]
    size = [
        f"memory of all processes to index {memory['photos']:,} photos",
        f"at most {max(late):,.0f} MB after the second tenth of the photos",
        f"{early:,.0f} MB in the second tenth",
        f"{memory['growth']:.2f} times as much",
    ]
    return [*rows, size]


def _times(ratio: dict[str, Any], words: str) -> str:
    lower, upper = ratio["quartiles"]
    return f"{ratio['median']:.2f} {words} (quartiles {lower:.2f} to {upper:.2f})"


def _read(name: str) -> Any:
    return json.loads((BENCHMARKS / f"{name}.json").read_text(encoding="utf-8"))
