"""A training in the browser against `rnnvanish train`; and work that is cut into slices."""

import csv
import json
import shlex

import pytest

from rnnvanish.__main__ import main

RUNS = {
    "--cell GRU --task recall --task_options.length 5 --hidden_size 8 --lr 0.02 --steps_per_epoch 10 --epochs 9": {
        "cell": "GRU",
        "task": "recall",
        "lag": 4,
        "units": 8,
        "rate": 0.02,
        "epoch": 10,
        "most": 90,
    },
    "--cell LSTM --task adding --task_options.length 4 --hidden_size 8 --lr 0.05 --steps_per_epoch 20 --epochs 2 "
    "--num_layers 2 --skip residual --mitigations 'AttentionOverPast,SkipThroughTime(2),Chrono(4),ClipValue(0.05)'": {
        "cell": "LSTM",
        "task": "adding",
        "lag": 3,
        "units": 8,
        "rate": 0.05,
        "epoch": 20,
        "most": 40,
        "layers": 2,
        "layerSkip": True,
        "attention": True,
        "timeSkip": 2,
        "start": "chrono",
        "option": 4,
        "clipValue": 0.05,
    },
    "--cell Elman --task copying --task_options.delay 2 --hidden_size 8 --lr 0.5 --steps_per_epoch 5 --epochs 2 "
    "--optimizer sgd --cell_options.nonlinearity prelu": {
        "cell": "Elman",
        "task": "copying",
        "lag": 12,
        "units": 8,
        "rate": 0.5,
        "epoch": 5,
        "most": 10,
        "optimizer": "sgd",
        "activation": "prelu",
    },
}


@pytest.mark.parametrize("command", RUNS)
def test_the_same_in_python(engine, command, tmp_path, capsys):
    """Adding and copying have no normal numbers: what `Chrono` draws alone is rounded otherwise."""
    usual = "--batch_size 16 --seed 3 --monitor 0 --until_solved --engine reference --trainer.precision 64-true --json"
    assert main(["train", *shlex.split(command), *usual.split(), "--out", str(tmp_path / "run")]) == 0
    theirs = json.loads(capsys.readouterr().out)
    with (tmp_path / "run/metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val_loss"]]
    ours = engine.evaluate(
        """(options) => {
          const run = new rv.Run({ ...options, batch: 16, seed: 3 });
          while (!run.over) run.step();
          return { steps: run.steps, solved: run.solved, tests: run.tests };
        }""",
        RUNS[command],
    )
    assert (ours["steps"], ours["solved"]) == (theirs["steps"], theirs["solved"])
    assert [test["step"] for test in ours["tests"]] == [int(row["step"]) + 1 for row in rows]
    assert [test["right"] for test in ours["tests"]] == pytest.approx(
        [float(row["val_score"]) for row in rows], abs=1e-6
    )
    assert [test["loss"] for test in ours["tests"]] == pytest.approx([float(row["val_loss"]) for row in rows], rel=2e-5)


#: A clock that goes by multiplications, 200 000 a millisecond: each slice is counted, and nothing depends on the machine.
COUNTED = """async (options) => {
  let done = 0;
  const { mulNT, mulTN } = rv, now = performance.now;
  for (const [name, product] of Object.entries({ mulNT, mulTN }))
    rv[name] = (...all) => {
      done += all[6] * all[7] * all[8];
      product(...all);
    };
  performance.now = () => done / 200000;
  const whole = new rv.Run(options), cut = new rv.Run(options), slices = [];
  while (!whole.over) whole.step();
  const once = done;
  let before = done;
  await new Promise((ready) => {
    rv.slices((end) => { cut.step(end); return !cut.over; }, (last) => {
      slices.push(done - before);
      before = done;
      if (last) ready();
    });
  });
  delete performance.now;
  Object.assign(rv, { mulNT, mulTN });
  return { once, slices, same: cut.losses.join() === whole.losses.join() && cut.net.theta.join() === whole.net.theta.join(),
    piece: rv.PIECE, clean: performance.now === now };
}"""


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_slices_are_short_inside_a_step_too(engine, cell):
    options = {"cell": cell, "layers": 2, "units": 24, "lag": 30, "batch": 48, "most": 2, "epoch": 2}
    found = engine.evaluate(COUNTED, options)
    assert found["same"]
    assert found["clean"]
    assert sum(found["slices"]) == found["once"]
    assert len(found["slices"]) > 10
    assert max(found["slices"]) <= 12 * 200_000 + found["piece"]


def test_slices_stop_when_they_are_told_to(engine):
    assert (
        engine.evaluate("""async () => {
      let count = 0;
      await new Promise((ready) => {
        const stop = rv.slices(() => { count++; return true; }, () => { stop(); setTimeout(ready, 50); }, 0);
      });
      return count;
    }""")
        == 1
    )


def test_warming_trains_nothing_that_is_shown(engine):
    counted = engine.evaluate("""async () => {
      let count = 0;
      const backward = rv.Network.prototype.backward;
      rv.Network.prototype.backward = function () { count++; backward.call(this); };
      await rv.warm({ cell: "GRU", units: 2 }, 7);
      rv.Network.prototype.backward = backward;
      return count;
    }""")
    assert counted == 7


def test_a_network_goes_in_pieces(engine):
    found = engine.evaluate("""() => {
      const made = () => {
        const net = new rv.Network({ cell: "GRU", steps: 9, batch: 3, units: 5, layers: 2, attention: true }), random = new rv.Twister(1);
        rv.starts.torch(net, random);
        rv.tasks.recall.sample(net, random);
        return net;
      };
      const whole = made(), cut = made();
      whole.forward();
      whole.backward();
      let pieces = 1;
      for (cut.begin(); !cut.go(0); pieces++);
      return [pieces, cut.loss === whole.loss && cut.grad.join() === whole.grad.join()];
    }""")
    assert found[0] > 2 * 2 * 9
    assert found[1]


REFUSED = {
    "new rv.Network({ cell: 'RNN' })": "cell: one of Elman, LSTM, GRU is needed, not RNN",
    "new rv.Network({ unit: 3 })": "option: one of cell, activation, inputs, units,",
    "new rv.Run({ learningRate: 3 })": "option: one of cell,",
    "new rv.Network({ units: 0 })": "units: a whole number from 1 on is needed, not 0",
    "new rv.Network({ readout: 'logistic' })": "a logistic read-out has one output",
    "new rv.Network({ attention: true, single: true })": "attention needs attention.js, and double precision",
    "rv.draw(new rv.Network({ cell: 'Elman' }), new rv.Twister(1), 'open', 2)": "open needs a gate that keeps the state",
    "rv.draw(new rv.Network({ cell: 'Elman' }), new rv.Twister(1), 'he')": "he needs the Elman network with relu",
    "rv.draw(new rv.Network(), new rv.Twister(1), [['orthogonal'], ['shut']])": "start: one of torch,",
    "rv.draw(new rv.Network(), new rv.Twister(1), 'chrono', 2)": "chrono needs a span above 2 steps, not 2",
    "new rv.Run({ task: 'copying', lag: 5 })": "lag: 11 or more is needed, not 5",
    "new rv.Run({ optimizer: 'lamb' })": "optimizer: one of adam, sgd is needed, not lamb",
}


def test_what_cannot_be_is_refused(engine):
    said = {
        code: engine.evaluate(f"() => {{ try {{ {code}; }} catch (error) {{ return error.message; }} }}")
        for code in REFUSED
    }
    assert {code: words for code, words in said.items() if REFUSED[code] not in (words or "")} == {}
