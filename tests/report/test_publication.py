"""Where a published table is not what its runs say, to the cell."""

from __future__ import annotations

import json

from eleatt_bench.report.publication import _of_json, _of_lines


def table(**numbers: object) -> str:
    cell = {"section": "", "row": "GRU", "column": "accuracy", "mean": 50.0, **numbers}
    return json.dumps([{"name": "t", "cells": [cell], "claims": [], "notes": ["of 3 runs"]}])


def test_a_value_is_named_by_its_cell() -> None:
    found = list(_of_json("t.json", table(), table(mean=51.5, results=[{"seed": 1}])))
    assert found == [
        "GRU, accuracy: mean was 50.0, is 51.5",
        "GRU, accuracy: results[0].seed was not there, is 1",
    ]
    assert list(_of_json("t.json", table(n=1), table())) == ["GRU, accuracy: n was 1, is no more"]
    assert list(_of_json("t.json", table(n=None), table(n=0)))
    assert list(_of_json("t.json", table(n=True), table(n=1)))


def test_what_is_no_table_is_said() -> None:
    for text in ("", "{}", "[1]", "[{}]", "null", "[" * 100_000):
        (said,) = _of_json("t.json", text, table())
        assert said.startswith("t.json cannot be read")


def test_the_last_digits_do_not_count() -> None:
    assert not list(_of_json("t.json", table(), table(mean=50.00000000000001)))
    assert not list(_of_lines("t.csv", "a,0.1,1e-7\n", "a,0.10000000000000002,1e-07\n"))
    assert list(_of_lines("t.csv", "a,0.1\n", "a,0.1001\n"))


def test_the_first_line_that_differs() -> None:
    assert list(_of_lines("t.md", "a\nb 1\nc", "a\nb 2\nd")) == [
        "t.md, line 2: was 'b 1', is 'b 2'"
    ]
    assert list(_of_lines("t.md", "a\n", "a\nb\n")) == ["t.md, line 2: was '', is 'b'"]
