"""Generating a parallel scan for Triton, in the place of a loop over time."""

from rnnvanish.engine.gpu.codegen import LANES, ROWS, CodeGenerator, TritonCode, tile
from rnnvanish.engine.ir.values import Value
from rnnvanish.engine.plan.parallel_scan import is_carried, linear_recurrence
from rnnvanish.engine.plan.phases import LoopPlan, Phase, Place

#: Steps that are put together at once.
CHUNK = 32


class ScanCodeGenerator(CodeGenerator):
    """Generates a linear recurrence: a kernel that puts steps together, and one for the rest, all steps at once."""

    def _kernels(self, plan: LoopPlan) -> dict[str, list[str]]:
        (phase,), parts = plan.phases, linear_recurrence(plan, self.backward)
        assert parts is not None
        self.lanes = min(LANES, tile(max(part.width for part, _, _ in parts)))
        self.widest = max(part.width for part, _, _ in parts)
        lines = [
            "row = tl.program_id(0).to(tl.int64)",
            f"j = (tl.program_id(1) * {self.lanes} + tl.arange(0, {self.lanes}))[None, :]",
        ]
        for part in parts:
            lines += self._part(phase, *part)
        kernels = {"scan": lines}
        others = [pair for pair in phase.stores if not is_carried(pair[1], self.backward, before=False)]
        if others:
            kernels["rest"] = [
                "row = tl.program_id(0).to(tl.int64)",
                f"t = (tl.program_id(1) * {ROWS} + tl.arange(0, {ROWS}))[:, None]",
                "here = t < steps",
                *TritonCode(self, Phase(phase.at, others)).lines(),
            ]
        return kernels

    def grids(self, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
        """How many programs each kernel takes."""
        grids = {"scan": (batch, -(-self.widest // self.lanes)), "rest": (batch, -(-steps // ROWS))}
        return {name: grids[name] for name in self.kernels}

    def _part(self, phase: Phase, h: Value, a: Value, b: Value) -> list[str]:
        code = TritonCode(self, phase)
        return [
            line
            for start, width in code.segments(h.width, a, b)
            for line in self._segment(TritonCode(self, phase), h, a, b, start, width)
        ]

    def _segment(self, code: TritonCode, h: Value, a: Value, b: Value, start: int, width: int) -> list[str]:
        """Lines for some lanes: chunk by chunk, each from where the one before it ended."""
        place = code.phase.at[h]
        memory = self.address(place.buffer)
        now = Place(place.buffer, shift=1 - place.shift)
        code.axes = (width,)
        expressions = [code.lane(value, start) for value in (a, b)]
        incoming = []
        if (
            self.backward and place.buffer == "carry0"
        ):  # the next step back finds the gradient of this step's output too
            before = f"(t - 1).to(tl.int64) * batch + row) * {h.width}"
            incoming = [
                "if dense:",
                f"    b += tl.load({self.address('outputs')} + ({before} + {start} + j, there & (t > 0), other=0)",
            ]
        return [
            f"at = {memory} + ({'steps.to(tl.int64)' if self.backward else '0'} * batch + row) * {h.width} + {start} + j",
            f"before = tl.load(at, j < {width}, other=0)",
            f"for chunk in range(0, steps, {CHUNK}):",
            *(
                f"    {line}"
                for line in [
                    f"index = (chunk + tl.arange(0, {CHUNK}))[:, None]",
                    f"t = {'steps - 1 - index' if self.backward else 'index'}",
                    "here = index < steps",
                    f"there = here & (j < {width})",
                    *code.head,
                    *code.body,
                    f"a = tl.where(there, {expressions[0]}, 1.0)",
                    f"b = tl.where(there, {expressions[1]}, 0.0)",
                    *incoming,
                    "a, b = tl.associative_scan((a, b), 0, compose)",
                    "now = a * before + b",
                    f"tl.store({memory} + {self.row_index(now)} + {start} + j, now, there)",
                    f"last = tl.where(index == chunk + {CHUNK - 1}, now, 0.0)",
                    "before = tl.reduce(last, 0, plus, keep_dims=True)",
                ]
            ),
        ]
