"""Text: English prose, character by character; say at every step which character comes next."""

import re
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal, final

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from rnnvanish.cell import Paper
from rnnvanish.task import Batch, Part, Task, class_floor

ALPHABET = " .,'abcdefghijklmnopqrstuvwxyz"


@final
@dataclass(frozen=True)
class Text(Task):
    """The language reference that every Python brings for `help()`, in lower case.

    Features: the present character, one-hot of `ALPHABET`; whatever is not in it is a space. Asked at every step: the
    next character. Paragraphs that the reference repeats are kept once. Test part: the last tenth of the text, which
    differs a little from one Python to the next.

    Args:
        length: Steps of a sequence, in characters.

    Examples:
        >>> Text(length=6).sample(3, torch.Generator()).inputs.shape
        torch.Size([6, 3, 30])
    """

    length: int = 50

    paper: ClassVar[Paper] = Paper(
        "Python Software Foundation",
        2001,
        "The Python Language Reference",
        "https://docs.python.org/3/reference/",
        where="as in pydoc_data.topics",
    )
    input_size: ClassVar[int] = len(ALPHABET)
    output_size: ClassVar[int] = len(ALPHABET)
    answer: ClassVar[Literal["last", "every"]] = "every"
    forward_only: ClassVar[bool] = True
    length_field: ClassVar[str] = "length"

    def __post_init__(self) -> None:
        self.need_at_least(1, length=self.length)
        most = len(_parts()["test"]) - 1
        if self.length > most:
            raise ValueError(f"Text needs length <= {most}, the characters of its test part, got {self.length}.")

    @property
    def floor(self) -> float:
        """Cross-entropy on the test part, in nats a character, of always giving the train part's frequencies."""
        parts = _parts()
        return class_floor(parts["train"], parts["test"])

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Batch:
        """Draw stretches of text that start anywhere; each lies within its part."""
        text = _parts()[part]
        starts = torch.randint(len(text) - self.length, (count,), generator=generator)
        characters = text[starts + torch.arange(self.length + 1)[:, None]]
        return Batch(one_hot(characters[:-1], len(ALPHABET)).float(), characters[1:].contiguous(), None)


@cache
def _parts() -> dict[str, Tensor]:
    """Places in the alphabet of each part's characters."""
    from pydoc_data.topics import topics  # half a megabyte: read when it is used

    paragraphs = [paragraph for name in sorted(topics) for paragraph in topics[name].split("\n\n")]
    words = f"[{ALPHABET.strip()}]+"
    plain = [" ".join(re.findall(words, paragraph.lower().replace("’", "'"))) for paragraph in paragraphs]
    prose = " ".join(
        dict.fromkeys(filter(None, plain))
    )  # one in four comes again under another topic: it would be in both parts
    text = torch.tensor([ALPHABET.index(character) for character in prose])
    border = len(text) * 9 // 10
    return {"train": text[:border], "test": text[border:]}
