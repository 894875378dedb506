"""What is printed, on outputs that cannot print it and of people who mean harm."""

from __future__ import annotations

import io
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.common.text import make_output_safe, plain_console, printable


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_character_can_be_printed(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    text = "80.9 ± 0.3 − 12×12 – √2 … █ ‰ 名 \udc80"
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding, errors="strict"))
    make_output_safe()
    for stream in (sys.stdout, sys.stderr):
        print(text, file=stream, flush=True)
        shown = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
        if encoding == "ascii":
            assert shown == "80.9 +/- 0.3 - 12x12 - sqrt2 ... # ? ? ?\n"
        if encoding == "utf-8":
            assert shown == text.replace("\udc80", "?") + "\n"


BIDIRECTIONAL = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
SIGNS = st.sampled_from("\x1b\x85\u200e\u200f\u202b\u202e\u2067\u2069\u200d\n\t")


@given(st.text(st.characters() | SIGNS))
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    for before, after in zip(text, shown, strict=True):
        steers = unicodedata.category(before) == "Cc" and before not in "\t\n"
        steers |= before in "\u200e\u200f" or unicodedata.bidirectional(before) in BIDIRECTIONAL
        assert after == ("?" if steers else before)


def test_a_console_prints_what_it_is_given() -> None:
    out = io.StringIO()
    plain_console(file=out, width=80).print("[/red] [bold]x[/bold] :bug: 12")
    assert out.getvalue() == "[/red] [bold]x[/bold] :bug: 12\n"
