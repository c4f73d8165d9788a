import pytest

from facehash.errors import InputError
from facehash.specification import (
    convert_options,
    number,
    one_of,
    split_specification,
    whole_number,
)


def test_options_follow_the_head_in_order_and_a_comma_in_a_path_belongs_to_the_path():
    assert split_specification("sface") == ("sface", {})
    head, options = split_specification("keras:model.keras,size=160,metric=cosine")
    assert head == "keras:model.keras"
    assert list(options.items()) == [("size", "160"), ("metric", "cosine")]
    assert split_specification("run:runs/a,b") == ("run:runs/a,b", {})
    assert split_specification("keras:a=1,b,size=2") == ("keras:a=1,b", {"size": "2"})
    with pytest.raises(InputError, match="'a' is given twice"):
        split_specification("x,a=1,a=2")


def test_values_are_converted_and_errors_name_valid_values():
    known = {"size": whole_number, "score": number, "metric": one_of("cosine", "euclidean")}
    values = convert_options("spec", {"size": "160", "score": ".5"}, known)
    assert values == {"size": 160, "score": 0.5}
    for options, message in [
        ({"size": "0"}, "'spec': size=0: must be a whole number above 0"),
        ({"size": "1e3"}, "must be a whole number"),
        ({"size": "²"}, "must be a whole number"),
        ({"metric": "l1"}, "metric=l1: must be one of cosine, euclidean"),
        ({"sise": "1"}, "unknown option 'sise' .did you mean 'size'"),
    ]:
        with pytest.raises(InputError, match=message):
            convert_options("spec", options, known)
