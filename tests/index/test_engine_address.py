"""Addresses of servers: no password in a message, wherever it was written."""

import pytest

from facehash.errors import InputError
from facehash.index.engines.address import Address


def test_an_address_without_its_password_is_the_same_address():
    text = "postgresql://ann:p%2Fq%20r@[::1]:5433/faces?sslmode=require&index=exact"
    address = Address.parse(text)
    assert (address.user, address.password, address.host) == ("ann", "p/q r", "::1")
    assert str(address) == text.replace(":p%2Fq%20r", "")
    assert Address.parse(str(address)).options == {"sslmode": "require", "index": "exact"}
    said = address.without_secret("refused p/q r\n and p%2Fq%20r")
    assert said == "refused *** and ***"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://host/db?password=S3CRET", "before the host"),
        ("redis://host/0?Passwd=S3CRET", "before the host"),
        ("elasticsearch://host?api_key=S3CRET", "before the host"),
        ("redis://:1234/S3CRET@host", "write / in a password as %2F"),
        ("postgresql://ann:S3/CRET@host/db", "not a URL|%2F"),
        ("S3CRET", "a URL such as"),
    ],
)
def test_a_password_in_the_wrong_place_is_not_repeated(url, message):
    with pytest.raises(InputError, match=message) as caught:
        Address.parse(url)
    assert "S3" not in str(caught.value) and "CRET" not in str(caught.value)


def test_a_file_with_a_key_is_no_secret():
    address = Address.parse("rediss://host/0?ssl_keyfile=client.key")
    assert address.options == {"ssl_keyfile": "client.key"}


def test_the_password_of_an_engine_wins_over_that_of_all():
    address = Address.parse("redis://host")
    variables = {"FACEHASH_ENGINE_PASSWORD": "all", "FACEHASH_ENGINE_MY_OWN_PASSWORD": "own"}
    assert address.with_password("my-own", variables).password == "own"
    assert address.with_password("other", variables).password == "all"
    assert Address.parse("redis://:url@host").with_password("other", variables).password == "url"
