"""What the words of a report mean, in a sentence each."""

#: By the words as they stand in a report: verdicts, and the labels of rows.
TERMS = {
    "vanishing": "Somewhere on the way back less than a thousandth of the gradient is left: what came before cannot be learnt from.",
    "exploding": "More than a thousand times the gradient arrives at the first step: training jumps about or breaks off.",
    "healthy": "At least a thousandth of the gradient is left all the way back, and at most a thousand times arrives.",
    "not read": "No gradient comes into this loop: what it computes has no part in the loss.",
    "nothing to carry": "It ran for a single step, so nothing is handed on from one step to the next.",
    "gradient": "How the loss changes with the state of the network at a step. Where it is lost on the way back, training cannot know of earlier steps.",
    "arrives": "What is left of the gradient at the first step, of what there was at the last.",
    "half-life": "Steps in which half of the gradient is lost on the way back; after ten half-lives a thousandth is left.",
    "reach": "The number of steps back that at least a thousandth of the gradient comes.",
    "cause": "What one step back does to the gradient, factor by factor, as this very run had it.",
    "weights": "The weights of this loop are trained by the sum of what arrives at all steps; this is how much of it the last steps are.",
    "tried": "Measured again on a copy of the model that was changed so.",
    "to apply": "The best of what was tried, as you type it.",
    "alike": "Layers whose curves are the same but for the numbers drawn are told once.",
    "note": "What else there is to know of this measurement.",
    "rounding": "Numbers have a smallest size: what lies below it becomes zero, and nothing can be learnt from it.",
    "dead": "Units whose value is the same at all steps of all sequences.",
    "recurrent": "How much of what arrives came from step to step, and how much by attention, pooling, a skip or another layer.",
    "start": "Where the gradient starts: one step of what the model returns, so that nothing which the loss adds at other steps hides what is lost.",
    "whole loss": "The gradient of the whole loss, which also comes in at other steps: it says nothing of how far back one step is heard.",
    "part": "An LSTM carries two things, its output h and its cell c; each has a share of the gradient.",
    "cases": "What is left of the gradient that fares worst, and of one drawn at random.",
    "depth": "What goes on to the layer below.",
    "exponents": "Lyapunov exponents: growth per step, in nats; below zero the state forgets.",
    "gates": "How often gates and units stand at the end of their range, where they do not answer any more.",
    "input": "How far back a change of the input changes the loss.",
    "matrix": "Measures of the recurrent weights of each block.",
    "seen": "What was measured.",
    "to do": "What mends it.",
    "why": "Why there is no curve.",
}
#: Of the text itself: what an engineer may not have met.
INSIDE = {
    "spectral radius": "By how much the recurrent weights stretch or shrink the state in the long run: below one it fades, above one it grows.",
    "largest singular value": "By how much the recurrent weights stretch a state at most, in a single step.",
    "non-normality": "How far the weights are from stretching each direction by itself; at 0 the spectral radius says all, above it a "
    "gradient may grow for some steps although it fades in the end.",
    "from orthogonal": "How far the weights are from only turning the state, which keeps every gradient whole: 0 is there.",
    "float16": "Half precision: numbers of 16 bits, which cannot hold what is smaller than about 0.00000006.",
    "bfloat16": "The other half precision: few digits, and the range of float32.",
    "float32": "Single precision, the usual numbers of 32 bits; the smallest are about 10⁻⁴⁵.",
}
