"""Faults that have a name, one file each: how one is seen in a loop, and what mends it.

A new one is its file and one entry of `ALL`, `OF_RUN` or `OF_MODEL`.
"""

from collections.abc import Callable

from rnnvanish.backward.measure_loop import LoopMeasure
from rnnvanish.deprecated import forward
from rnnvanish.diagnosis.fault import Subject, Symptom, WatchedModel
from rnnvanish.diagnosis.faults.absurd_input import absurd_input
from rnnvanish.diagnosis.faults.batch_norm_alone import batch_norm_alone
from rnnvanish.diagnosis.faults.batch_statistics import batch_statistics
from rnnvanish.diagnosis.faults.clipped_away import clipped_away
from rnnvanish.diagnosis.faults.closed_gate import closed_gate
from rnnvanish.diagnosis.faults.detached import detached
from rnnvanish.diagnosis.faults.detached_part import detached_part
from rnnvanish.diagnosis.faults.detached_step import detached_step
from rnnvanish.diagnosis.faults.double_softmax import double_softmax
from rnnvanish.diagnosis.faults.equal_units import equal_units
from rnnvanish.diagnosis.faults.first_step import first_step
from rnnvanish.diagnosis.faults.half_precision import half_precision
from rnnvanish.diagnosis.faults.idle_dropout import idle_dropout
from rnnvanish.diagnosis.faults.kept_state import kept_state
from rnnvanish.diagnosis.faults.mixed_sequences import mixed_sequences
from rnnvanish.diagnosis.faults.no_gradient import no_gradient
from rnnvanish.diagnosis.faults.not_finite import not_finite
from rnnvanish.diagnosis.faults.numbers_alone import numbers_alone
from rnnvanish.diagnosis.faults.padding import padding_read
from rnnvanish.diagnosis.faults.pooled_padding import pooled_padding
from rnnvanish.diagnosis.faults.pooled_zeros import pooled_zeros
from rnnvanish.diagnosis.faults.read_at_start import read_at_start
from rnnvanish.diagnosis.faults.saturation import saturated_input
from rnnvanish.diagnosis.faults.short_windows import short_windows
from rnnvanish.diagnosis.faults.shrinking import shrinking_weights
from rnnvanish.diagnosis.faults.single_step import single_step
from rnnvanish.diagnosis.faults.state_anew import state_anew
from rnnvanish.diagnosis.faults.state_drawn import state_drawn
from rnnvanish.diagnosis.faults.state_reset import state_reset
from rnnvanish.diagnosis.faults.stuck_units import stuck_units
from rnnvanish.diagnosis.faults.unread_part import unread_part
from rnnvanish.diagnosis.faults.unreset_state import unreset_state

#: What is looked for, in this order. Each says what it saw in a loop, or None; at once, or of every step.
ALL: tuple[LoopMeasure[Symptom | None], ...] = (
    absurd_input,
    saturated_input,
    equal_units,
    stuck_units,
    half_precision,
    detached_step,
    closed_gate,
    shrinking_weights,
)
#: What is looked for in a whole watched run, while its graph is there.
OF_RUN: tuple[Callable[[WatchedModel], list[Symptom]], ...] = (
    read_at_start,
    unread_part,
    detached,
    detached_part,
    state_anew,
    state_reset,
    single_step,
    padding_read,
    pooled_padding,
)
#: What is looked for outside of the watched run. Each may run the model, and change it: it is put back.
OF_MODEL: tuple[Callable[[Subject], list[Symptom]], ...] = (
    not_finite,
    mixed_sequences,
    pooled_zeros,
    no_gradient,
    double_softmax,
    batch_statistics,
    numbers_alone,
    state_drawn,
    kept_state,
    unreset_state,
    short_windows,
    clipped_away,
    first_step,
    idle_dropout,
    batch_norm_alone,
)

forward(__name__)
