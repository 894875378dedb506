"""Text for LaTeX: escaped, in ASCII, and how wide it becomes."""

from __future__ import annotations

import unicodedata

from eleatt_bench.common.text import ascii_only, printable

_SIGNS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedblright{}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "√": r"$\surd$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "°": r"$^\circ$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "§": r"\S{}",
    "¶": r"\P{}",
    "’": "'",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def escape(text: str) -> str:
    """``text`` escaped for LaTeX; what its default fonts lack becomes the nearest ASCII."""
    return "".join(_SIGNS.get(sign) or _ascii(sign) for sign in text)


def _ascii(sign: str) -> str:
    if sign.isascii():
        return sign if sign.isprintable() else " "
    plain = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return "".join(_SIGNS.get(s, s) for s in plain) or "?"


def plain(name: str) -> str:
    """The name of a column as words, so that a line can break between them."""
    return name.replace("_", " ")


def comment(text: str) -> str:
    """``text`` as a line that LaTeX skips."""
    return f"% {ascii_only(' '.join(printable(text).split()))}"


_WIDTHS = {
    0.3: "!',.:;<[]_`il",
    0.35: "fj -",
    0.43: "I()rst",
    0.5: "cez?>–†‡§",
    0.61: "JkqvxybdhnpuSZ",
    0.67: "¶",
    0.74: "LFEPB",
    0.84: "CRTwADHNUVXY&=@GKOQ+−±",
    1.0: '#%mM"\\~^',
    1.1: "W|",
}
_WIDTH_OF = {sign: width for width, signs in _WIDTHS.items() for sign in signs}


def width(text: str) -> float:
    """The greatest width that ``text`` can have, in units of the font size.

    It is that in Computer Modern at 8 pt or more; most other fonts are narrower.
    """
    return sum(_WIDTH_OF.get(sign, 0.54 if sign.isascii() else 1.1) for sign in text)


def halves(text: str) -> tuple[str, ...]:
    """``text`` broken at the blank that makes it narrowest, or whole if it has none."""
    words = text.split(" ")
    broken = [(" ".join(words[:k]), " ".join(words[k:])) for k in range(1, len(words))]
    return min([(text,), *broken], key=lambda lines: max(map(width, lines)))
