// What the controls of the playground mean: the options of a training, the cures in words, what does not fit together and
// why, and the command that trains the same.
// needs: tasks
globalThis.rv ||= {};

(() => {
  const EPOCH = 50; // training steps between two tests
  const DRAWS = { glorot: "Glorot", he: "He", orthogonal: "OrthogonalStart", identity: "Identity" };
  const TITLES = { glorot: "Glorot's start", he: "He's start", orthogonal: "an orthogonal start", identity: "the identity as a start" };
  const percent = (bias) => `${Math.round(100 / (1 + Math.exp(-bias)))} %`;
  const rectifies = ({ cell, activation }) => cell === "Elman" && ["relu", "leaky_relu", "prelu"].includes(activation);
  const gated = ({ cell }) => cell !== "Elman";

  // Why a value of a control does not fit the others; nothing where it does.
  rv.unfit = (state, name, value = state[name]) => {
    if (name === "activation" && gated(state)) return "An LSTM and a GRU have their own activations.";
    if (name === "start" && ["he", "identity"].includes(value) && !rectifies(state))
      return `${value === "he" ? "He's start" : "The identity"} is for ReLU and its kin: choose the plain cell and one of these.`;
    if (name === "gate" && value !== "drawn" && !gated(state)) return "The plain cell has no gate that could be opened.";
    if (name === "residual" && value === "yes" && state.layers < 2) return "A shortcut past the layers needs two layers or more.";
    if (name === "skip" && Number(value) >= state.lag && value !== "0") return "A shortcut has to be shorter than the way back.";
    return "";
  };

  // Each is chosen where its control does not stand at its first value: what it is in words, in the options of rv.Run, and
  // for the command.
  const CURES = {
    start: (value) => ({ says: TITLES[value], draw: [value], mitigation: DRAWS[value] }),
    gate: (value, { lag }) => {
      const bias = Number(value.replace("open", ""));
      if (value === "chrono") return { says: `gates open for 1 to ${lag} steps`, draw: ["chrono", lag], mitigation: `Chrono(span=${lag})` };
      return { says: `the gate open to ${percent(bias)}`, draw: ["open", bias], mitigation: `OpenGate(bias=${bias})` };
    },
    skip: (value) => ({ says: `a shortcut over ${value} steps`, options: { timeSkip: Number(value) }, mitigation: `SkipThroughTime(lag=${value})` }),
    attention: () => ({ says: "attention", options: { attention: true }, mitigation: "AttentionOverPast" }),
    residual: () => ({ says: "a shortcut past the layers", options: { layerSkip: true }, flags: ["--skip residual"] }),
    clip: (value) =>
      value === "norm"
        ? { says: "a leash for the whole gradient", options: { clip: 1 } }
        : { says: "a leash for each number", options: { clipValue: 0.1 }, mitigation: "ClipValue(threshold=0.1)" },
  };
  const NONE = { start: "torch", gate: "drawn", skip: "0", attention: "no", residual: "no", clip: "no" };

  const asked = (state) => Object.keys(CURES).filter((name) => state[name] !== NONE[name]);

  // The names of the cures that are chosen and fit; these cures; and why others are left out.
  rv.chosen = (state) => asked(state).filter((name) => !rv.unfit(state, name));
  rv.cures = (state) => rv.chosen(state).map((name) => CURES[name](state[name], state));
  rv.leftOut = (state) => asked(state).map((name) => rv.unfit(state, name)).filter(Boolean);

  // Why nothing can be trained at all; nothing where it can.
  rv.refused = ({ task, lag }) =>
    lag < (rv.tasks[task].least ?? 1)
      ? "To copy, ten symbols have to be read before the first is written: choose a way back of 15 steps or more."
      : "";

  const activation = (state) => (rv.unfit(state, "activation") ? "tanh" : state.activation);

  // The options of rv.Run, with the cures or as it comes.
  rv.setting = (state, cured) => {
    const { cell, units, layers, task, lag, optimizer, rate, batch, most, seed } = state, cures = cured ? rv.cures(state) : [];
    const start = cures.filter(({ draw }) => draw).map(({ draw }) => draw);
    const shape = { cell, units, layers, activation: activation(state) };
    const training = { task, lag, optimizer, rate, batch, most, seed, epoch: EPOCH, clip: 0, start };
    return Object.assign({ ...shape, ...training }, ...cures.map(({ options }) => options));
  };

  // The command that trains the same: the same weights, and the same sequences.
  rv.command = (state, cured) => {
    const { cell, units, layers, task, lag, optimizer, rate, batch, most, seed } = state, cures = cured ? rv.cures(state) : [];
    const options = Object.entries(rv.tasks[task].options(lag)).map(([name, value]) => `--task_options.${name} ${value}`);
    const mitigations = cures.map(({ mitigation }) => mitigation).filter(Boolean).join(", ");
    return [
      `rnnvanish train --cell ${cell} --hidden_size ${units} --num_layers ${layers}`,
      activation(state) === "tanh" ? "" : `--cell_options.nonlinearity ${activation(state)}`,
      `--task ${task} ${options.join(" ")}`,
      mitigations && `--mitigations "${mitigations}"`,
      ...cures.flatMap(({ flags }) => flags ?? []),
      `--optimizer ${optimizer} --lr ${rate} --clip ${rv.setting(state, cured).clip} --batch_size ${batch}`,
      `--steps_per_epoch ${EPOCH} --epochs ${most / EPOCH} --until_solved true --seed ${seed}`,
      "--trainer.precision 64-true --trainer.accelerator cpu",
    ].filter(Boolean).join(" \\\n  ");
  };
})();
