"""Exercises: three questions a section, whose answers are measured when somebody asks."""

from rnnvanish.exercises import impacts, problem, techniques
from rnnvanish.exercises.exercise import Exercise, in_plain_words

#: The exercises of each part of the explanation, in the order of its sections.
PARTS: dict[str, tuple[Exercise, ...]] = {
    "The problem": problem.EXERCISES,
    "Its impacts": impacts.EXERCISES,
    "What helps": techniques.EXERCISES,
}

#: Every exercise by its number.
ALL = {exercise.number: exercise for part in PARTS.values() for exercise in part}

__all__ = ["ALL", "PARTS", "Exercise", "in_plain_words"]
