"""Faults that have a name, one file each: how one is seen in a loop, and what mends it.

A new one is its file and one entry of `ALL`.
"""

from rnnvanish.backward.measure_loop import LoopMeasure
from rnnvanish.deprecated import forward
from rnnvanish.diagnosis.fault import Symptom
from rnnvanish.diagnosis.faults.closed_gate import closed_gate
from rnnvanish.diagnosis.faults.detached import detached
from rnnvanish.diagnosis.faults.padding import padding_read
from rnnvanish.diagnosis.faults.saturation import saturated_input
from rnnvanish.diagnosis.faults.shrinking import shrinking_weights

#: What is looked for, in this order. Each says what it saw in a loop, or None; at once, or of every step.
ALL: tuple[LoopMeasure[Symptom | None], ...] = (
    detached,
    padding_read,
    saturated_input,
    closed_gate,
    shrinking_weights,
)

forward(__name__)
