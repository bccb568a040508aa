// What the controls of the playground mean: the options of a training, the cures in words, what does not fit together, and the
// command that trains the same.
// needs: tasks
globalThis.rv ||= {};

(() => {
  const EPOCH = 50; // training steps between two tests
  const STARTS = {
    glorot: ["Glorot's start", "Glorot"],
    he: ["He's start", "He"],
    orthogonal: ["an orthogonal start", "OrthogonalStart"],
    identity: ["the identity as a start", "Identity"],
  };
  const NONE = ["torch", "drawn", "0", "no"]; // the values of those that are not chosen
  const percent = (bias) => `${Math.round(100 / (1 + Math.exp(-bias)))} %`;
  const rectifies = ({ cell, activation }) => cell === "Elman" && ["relu", "leaky_relu", "prelu"].includes(activation);
  const gated = ({ cell }) => cell !== "Elman";

  // What some controls are for; and whether a value of one does not fit the others.
  rv.uses = {
    activation: "Of the plain cell. An LSTM and a GRU have their own.",
    start: "He's and the identity are for the plain cell with a ReLU or its kin.",
    gate: "Of an LSTM and a GRU. The plain cell has none.",
    skip: "Shorter than the way back.",
    residual: "Of two layers or more.",
  };
  rv.unfit = (state, name, value = state[name]) =>
    ({
      activation: () => gated(state),
      start: () => ["he", "identity"].includes(value) && !rectifies(state),
      gate: () => value !== "drawn" && !gated(state),
      skip: () => Number(value) >= state.lag,
      residual: () => value === "yes" && state.layers < 2,
    })[name]?.() ?? false;

  // What each cure is in words, in the options of rv.Run, and
  // for the command.
  const CURES = {
    start: (value) => ({ says: STARTS[value][0], draw: [value], mitigation: STARTS[value][1] }),
    gate: (value, { lag }) => {
      const bias = Number(value.replace("open", ""));
      if (value === "chrono") return { says: `gates open for 1 to ${lag} steps`, draw: ["chrono", lag], mitigation: `Chrono(span=${lag})` };
      return { says: `the gate open to ${percent(bias)}`, draw: ["open", bias], mitigation: `OpenGate(bias=${bias})` };
    },
    skip: (value) => ({ says: `a shortcut over ${value} steps`, options: { timeSkip: Number(value) }, mitigation: `SkipThroughTime(lag=${value})` }),
    attention: () => ({ says: "attention", options: { attention: true }, mitigation: "AttentionOverPast" }),
    residual: () => ({ says: "a shortcut past the layers", options: { layerSkip: true }, flag: "--skip residual" }),
    clip: (value) =>
      value === "norm"
        ? { says: "a leash for the whole gradient", options: { clip: 1 } }
        : { says: "a leash for each number", options: { clipValue: 0.1 }, mitigation: "ClipValue(threshold=0.1)" },
  };
  const asked = (state) => Object.keys(CURES).filter((name) => !NONE.includes(state[name]));

  // The names of the cures that are chosen and fit; these cures; and the names of those that are left out.
  rv.chosen = (state) => asked(state).filter((name) => !rv.unfit(state, name));
  rv.cures = (state) => rv.chosen(state).map((name) => CURES[name](state[name], state));
  rv.leftOut = (state) => asked(state).filter((name) => rv.unfit(state, name));

  // Why nothing can be trained at all; nothing where it can.
  rv.refused = ({ task, lag }) =>
    lag < (rv.tasks[task].least ?? 1)
      ? "To copy, ten symbols have to be read first: choose 15 steps or more."
      : "";

  // The options of rv.Run, with the cures or as it comes.
  rv.setting = (state, cured) => {
    const { cell, units, layers, task, lag, optimizer, rate, batch, most, seed } = state, cures = cured ? rv.cures(state) : [];
    const activation = rv.unfit(state, "activation") ? "tanh" : state.activation;
    const start = cures.filter(({ draw }) => draw).map(({ draw }) => draw);
    const shape = { cell, units, layers, activation, task, lag };
    return Object.assign({ ...shape, optimizer, rate, batch, most, seed, epoch: EPOCH, clip: 0, start }, ...cures.map(({ options }) => options));
  };

  // The command that trains the same: the same weights, and the same sequences.
  rv.command = (state, cured) => {
    const { cell, units, layers, activation, task, lag, optimizer, rate, batch, most, seed, clip } = rv.setting(state, cured);
    const cures = cured ? rv.cures(state) : [];
    const mitigations = cures.map(({ mitigation }) => mitigation).filter(Boolean).join(", ");
    return [
      `rnnvanish train --cell ${cell} --hidden_size ${units} --num_layers ${layers}`,
      activation !== "tanh" && `--cell_options.nonlinearity ${activation}`,
      `--task ${task} ${Object.entries(rv.tasks[task].options(lag)).map(([name, value]) => `--task_options.${name} ${value}`)}`,
      mitigations && `--mitigations "${mitigations}"`,
      ...cures.map(({ flag }) => flag),
      `--optimizer ${optimizer} --lr ${rate} --clip ${clip} --batch_size ${batch} --seed ${seed}`,
      `--steps_per_epoch ${EPOCH} --epochs ${most / EPOCH} --until_solved true`,
      "--trainer.precision 64-true --trainer.accelerator cpu",
    ].filter(Boolean).join(" \\\n  ");
  };
})();
