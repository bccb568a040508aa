"""Vowels: nine speakers say two Japanese vowels; say who speaks."""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from rnnvanish.cell import Paper
from rnnvanish.names import installed
from rnnvanish.task import Batch, Part, Task, class_floor, passes


@final
@dataclass(frozen=True)
class Vowels(Task):
    """The Japanese vowels, as aeon brings them: utterances of 7 to 29 steps.

    Features: twelve coefficients of a linear prediction (LPC cepstrum) of a stretch of sound. Classes: the nine
    speakers. The data have a train part (270 utterances) and a test part (370) of their own.
    """

    paper: ClassVar[Paper] = Paper(
        "Kudo, Toyama & Shimbo",
        1999,
        "Multidimensional Curve Classification Using Passing-Through Regions",
        "https://doi.org/10.1016/S0167-8655(99)00077-X",
    )
    input_size: ClassVar[int] = 12
    output_size: ClassVar[int] = 9

    @property
    def floor(self) -> float:
        """Cross-entropy on the test part, in nats, of the train part's frequencies, which are equal: ln 9."""
        speakers = {part: torch.tensor([speaker for _, speaker in _utterances(part)]) for part in ("train", "test")}
        return class_floor(speakers["train"], speakers["test"])

    @property
    def test_count(self) -> int:
        """All utterances of the test part."""
        return len(_utterances("test"))

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Batch:
        """Draw utterances, none twice before all have come once."""
        utterances = _utterances(part)
        chosen = [utterances[i] for i in passes(len(utterances), count, generator)]
        lengths = torch.tensor([len(sound) for sound, _ in chosen])
        return Batch(pad_sequence([sound for sound, _ in chosen]), torch.tensor([who for _, who in chosen]), lengths)


@cache
def _utterances(part: Part) -> list[tuple[Tensor, int]]:
    """Each utterance (time, 12) with its speaker from 0 to 8.

    The file is read here, since aeon's own reader first compiles for seconds. A line is an utterance:
    twelve channels and the speaker, between colons.
    """
    folder = resources.files(installed("aeon", "data")) / "datasets" / "data" / "JapaneseVowels"
    lines = (folder / f"JapaneseVowels_{part.upper()}.ts").read_text().partition("@data\n")[2].splitlines()
    utterances = []
    for line in lines:
        *channels, speaker = line.split(":")
        sound = torch.tensor([[float(value) for value in channel.split(",")] for channel in channels])
        utterances.append((sound.T.contiguous(), int(speaker) - 1))
    return utterances
