"""How hard a text is to read: the Flesch-Kincaid grade, years of (American) school, of the plain parts of a page.

J. P. Kincaid, R. P. Fishburne, R. L. Rogers, B. S. Chissom (1975). Derivation of New Readability Formulas for Navy
Enlisted Personnel. Research Branch Report 8-75.
"""

import re
from pathlib import Path

import jupytext

#: Pairs of vowels that are spoken apart: gra-di-ent, i-de-a, us-u-al, cre-ate, be-ing.
APART = re.compile(
    r"(?<!(?<!s)[ct])i(?=a|ent|en[ct]|ous)|i(?=et\b|um\b|or\b|od|o\b)|(?<![qg])u(?=a|ou)|(?<![p])e(?=o)"
    r"|e(?=as?\b|ing)|(?<=cr)e(?=at)|[aou](?=ing)|a(?=o)"
)
ODD = {"every": "evry", "eye": "ey", "somebody": "sumbody", "business": "bisness"}


def syllables(word: str) -> int:
    """Count the syllables of an English word, by rules; tested on words whose number is known."""
    word = re.sub(r"[^a-z]", "", word.lower())
    for odd, plainly in ODD.items():
        word = word.replace(odd, plainly)
    word = re.sub(r"^(some|there|where|fore)(?=[a-z]{3})", lambda found: found[1][:-1], word)
    word = re.sub(r"e(?=(ful|less|ly|ment|ness)$)", "", word)
    if re.search(r"[^td]ed$", word) and not re.search(r"[aeiouy]ed$|[^aeiou]led$", word):
        word = word[:-2]  # measured
    elif re.search(r"[^sxz]es$", word) and not re.search(r"([aeiouycg]|[cs]h)es$|[^aeiou]les$", word):
        word = word[:-2]  # times
    elif re.search(r"[aeiouy][^aeiou]+e$|[aeiou]{2,}[^aeiou]e$", word) and not re.search(r"[^aeiou]le$", word):
        word = word[:-1]  # make, whole; not: little
    groups = len(re.findall(r"[aeiouy]+", re.sub(r"(?<=[aeiou])y(?=[aeiou])", "-", word)))
    return max(1, groups + len(APART.findall(word)) + word.endswith("ism"))


def plain(page: Path) -> list[str]:
    """Return the sentences of a page that everybody is to understand: no code, tables, outputs, or engineers' folds."""
    if page.suffix == ".py":
        cells = jupytext.read(page).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = re.sub(r"\A---\n.*?\n---\n", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r'^\?\?\?\+? info "For engineers"\n(?:(?: {4}.*)?\n|\Z)*(?: {4}.*)?', "\n", text, flags=re.MULTILINE)
    text = re.sub(r"<rv-slider.*?</rv-slider>|<!--.*?-->|<[^>]+>", "", text, flags=re.DOTALL)
    text = re.sub(r"^(#.*|\|.*|[?!]{3}.*|\*\[.*|Before: .*|-{3,})$", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"^[ ]*([-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)  # an item is a sentence
    text = re.sub(r"!?\[([^\]]*)\](\([^)]*\)|\{[^}]*\})", r"\1", text)
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"\$[^$]*\$", "it", text)
    paragraphs = re.split(r"\n\s*\n", re.sub(r"[*_]", "", text))
    return [sentence for each in paragraphs for sentence in split(" ".join(each.split()))]


def split(text: str) -> list[str]:
    """Return the sentences of a paragraph."""
    return [part for part in re.split(r"(?<=[.!?])[\s”\"')]+", text) if re.search(r"[A-Za-z]", part)]


def grade(sentences: list[str]) -> float:
    """Return the Flesch-Kincaid grade of sentences."""
    words = [word for sentence in sentences for word in re.findall(r"[A-Za-z][A-Za-z'’]*", sentence)]
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59
