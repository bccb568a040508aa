"""The command line.

A command is a function: its signature and its docstring are the options and their help.

A command returns its exit code (0 fine, 1 a claim or a verdict fails, 2 wrong use, 130 interrupted) and what `--json`
prints. What takes long to import is imported where it is needed, so that Ctrl+C finds somebody who answers.
"""

import sys

try:
    import traceback
    from collections.abc import Callable
    from importlib.metadata import version
    from typing import Any, Literal

    from rnnvanish.console import (
        complain,
        one_line,
        print_text,
        standard_output,
        to_json,
        wants_json,
    )
    from rnnvanish.names import NotInstalled, WrongUse, built, did_you_mean, listed, lookup

except KeyboardInterrupt:
    sys.exit(130)

#: How a command ends: its exit code, and its document.
Ending = tuple[int, Any]


def cells(name: str | None = None, json: bool = False) -> Ending:
    """List the cells, or show one of them: its equations, its defaults, and how much of a gradient it keeps.

    Args:
        name: A cell's name. Without it all are listed, with their parameters at a width of 64 and one feature read.
        json: Print one line of JSON.
    """
    from rnnvanish.catalogue import of_cells

    return 0, _shown(of_cells.show, name, json)


def mitigations(name: str | None = None, json: bool = False) -> Ending:
    """List the mitigations, or show one of them: what it does, when it acts, what it keeps, and how it is used.

    Args:
        name: A mitigation's name. Without it all are listed: when each acts, what it needs of a model, what it does.
        json: Print one line of JSON.
    """
    from rnnvanish.catalogue import of_mitigations

    return 0, _shown(of_mitigations.show, name, json)


def _shown(show: Callable[[str | None, bool], Any], name: str | None, as_json: bool) -> Any:
    try:
        return show(name, as_json)
    except ValueError as error:
        raise WrongUse(str(error)) from error


def train(
    cell: str,
    task: str,
    hidden_size: int = 64,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    skip: Literal["residual"] | None = None,
    engine: Literal["auto", "reference", "cpu", "gpu"] = "auto",
    cell_options: dict[str, Any] | None = None,
    task_options: dict[str, Any] | None = None,
    epochs: int = 10,
    steps_per_epoch: int = 100,
    batch_size: int = 64,
    lr: float = 5e-3,
    clip: float | None = None,
    mitigations: str = "",
    seed: int = 0,
    monitor: int = 50,
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam",
    momentum: float = 0.0,
    schedule: Literal["constant", "linear", "cosine", "step"] = "constant",
    weight_decay: float | None = None,
    until_solved: bool = False,
    trainer: dict[str, Any] | None = None,
    out: str | None = None,
    json: bool = False,
) -> Ending:
    """Train a recurrent network on a task. The same command goes on after an interruption, with the same result.

    Args:
        cell: Name of the cell; `rnnvanish cells` lists them.
        task: Name of the task; a wrong one lists them. Or a task of your own, "my_task.py:MyTask": a class made of
            rnnvanish.task.Task.
        hidden_size: Width of the state.
        num_layers: How many layers.
        bidirectional: Whether each layer also runs from the end to the beginning.
        dropout: Probability of dropping an output on its way to the next layer.
        skip: "residual" adds the input of each layer but the first to its output.
        engine: How the loop over time is run.
        cell_options: Options of the cell, such as --cell_options.nonlinearity relu.
        task_options: Options of the task, such as --task_options.length 200.
        epochs: After each, the network is tested and kept.
        steps_per_epoch: Optimiser steps in an epoch.
        batch_size: Sequences in a step.
        lr: Learning rate of the optimiser.
        clip: Largest norm of the gradient; a larger one is scaled down to it, after any mitigation. 0: any norm. By
            default 1, or 0 where a mitigation clips it.
        mitigations: Cures, as Python writes them: "Chrono(span=100), ClipNorm"; `rnnvanish mitigations` lists them.
            "RecurrentRate(0.1)" gives the recurrent weights a tenth of the learning rate.
        seed: Decides weights, sequences and dropout.
        monitor: Steps from one measurement of the gradient's retention to the next. 0: none.
        optimizer: What takes the steps; its numbers but rate, momentum and weight decay are torch's own.
        momentum: That of sgd, between 0 and 1.
        schedule: What becomes of the learning rate over all steps: it stays, falls to 0 along a line or a cosine, or is a
            tenth after half of the steps and a hundredth after three quarters.
        weight_decay: That of the optimiser; by default torch's own, which is 0, but 0.01 of adamw.
        until_solved: End it when two validations in a row find the task solved (95 % of the answers right, or a tenth of the
            loss of remembering nothing), or when the loss is no finite number, and say after how many steps.
        trainer: Where it is trained, as Lightning's Trainer takes it: --trainer.devices 2 --trainer.strategy ddp has two
            processes share each batch. Also accelerator, num_nodes, precision.
        out: Folder of the run; by default one in runs/ that is named by the options.
        json: Print the result as one line of JSON.
    """
    options = {name: value for name, value in locals().items() if name not in ("out", "json")}
    for name, default in {
        "optimizer": "adam",
        "momentum": 0.0,
        "schedule": "constant",
        "weight_decay": None,
        "until_solved": False,
        "trainer": None,
    }.items():  # runs that were begun before there was a choice
        if options[name] == default:
            del options[name]
    from rnnvanish import cells as catalogue
    from rnnvanish import mitigations as cures
    from rnnvanish import tasks

    try:  # before Lightning is imported, which takes seconds
        lookup("cell", cell, catalogue.ALL)
        tasks.find(task)
        options["mitigations"] = ", ".join(map(repr, built("mitigation", mitigations, cures.ALL)))
    except ValueError as error:
        raise WrongUse(str(error)) from error
    from rnnvanish.training import command

    return command.train(options, out, json)


def diagnose(
    target: str,
    seed: int = 0,
    lag: int = 0,
    train: int = 0,
    batches: int = 8,
    cells: str = "",
    layers: str = "",
    against: str | None = None,
    tolerance: float = 0.2,
    full: bool = False,
    quick: bool = False,
    out: str | None = None,
    json: bool = False,
) -> Ending:
    """Measure how far back the gradient reaches in each recurrent layer of your model, why it stops, and what helps.

    Args:
        target: package.module:object or path.py:object, a function that returns (module, inputs) or (module, inputs, loss),
            or a recurrent module itself, which then reads random sequences of 100 steps; or a checkpoint of
            `rnnvanish train`. Inputs may be a DataLoader. Without :object what the file has is listed, and the only
            function that returns (module, inputs) is taken.
        seed: Taken before the target is built.
        lag: Can the model learn across so many steps? 0: not asked.
        train: Steps of training that every cure is tried with besides; the target must bring the loss.
        batches: How many batches are measured, where the target brings a DataLoader.
        cells: Names of modules that are one step of a loop which the model itself writes, separated by commas.
        layers: Names of the modules or loops that are judged, separated by commas; all of them by default.
        against: An earlier report, as --json prints it. Then the exit code is 1 where retention fell since, and 0
            where it did not, whatever the verdict.
        tolerance: Share of a half-life that may be lost: with 0.2, one of 10 steps may become one of 8.
        full: Show everything that was measured, not what matters first.
        quick: Draw the random numbers of a cure once, not five times.
        out: Folder for the report as report.txt, report.json and report.html.
        json: Print the report as JSON.
    """
    from rnnvanish.diagnosis import command

    steps, judged = ([name.strip() for name in names.split(",") if name.strip()] for names in (cells, layers))
    options = {"lag": lag or None, "train": train, "batches": batches, "cells": steps, "layers": judged, "quick": quick}
    return command.run_diagnosis(target, seed, against, tolerance, full, out, json, **options)


def claims(
    section: int | None = None,
    only: str | None = None,
    seeds: int | None = None,
    all: bool = False,
    update: bool = False,
    workers: int = 1,
    json: bool = False,
) -> Ending:
    """Measure the claims of the explanation again; fails where a verdict is not the one that the text states.

    What is too expensive for that is shown as it is stored, as the site does. How far it is stands on standard error.

    Args:
        section: The claims of one section, by its number.
        only: One claim, by its id.
        seeds: How many seeds, instead of each claim's own number.
        all: Measure the expensive ones, too; first says how long that takes. Those on a grid read their study.
        update: Fill what is missing of the expensive claims, and store it: train what the study of claims lacks, and
            measure what is not stored, or was by older code; with --only that claim in any case. Everything is stored as it
            comes. After an interruption it says what is left, and the same command goes on.
        workers: With --update train so many networks at a time, on Ray where it is installed.
        json: Print everything that was measured as JSON.
    """
    from rnnvanish.experiments import command

    return command.run(section, only, seeds, all, update, workers, json)


def check(number: str | None = None, answer: str | None = None, json: bool = False) -> Ending:
    """Hold your answer to an exercise of the site against a measurement; without one, show the question.

    Args:
        number: Of the exercise, such as 6.1. Without it all are listed.
        answer: A number or a word, such as "about 25", "12 %", "1 in 2 million", "nothing" or "grow".
        json: Print it as one line of JSON.
    """
    from rnnvanish import exercises

    if number is None:
        known = exercises.ALL.values()
        if not json:
            print_text("".join(f"{each.number:<5} {each.question}\n" for each in known))
        return 0, {"exercises": [{"number": each.number, "question": each.question} for each in known]}
    if number not in exercises.ALL:
        raise WrongUse(
            f"There is no exercise {number!r}.{did_you_mean(number, exercises.ALL)} There are: {listed(exercises.ALL)}."
        )
    exercise = exercises.ALL[number]
    if answer is None:
        if not json:
            print_text(f"{exercise.question}\nTry: {exercise.try_it}\nRight is what is right {exercise.tolerance}.\n")
        return 0, {"number": number, "question": exercise.question, "try": exercise.try_it}
    try:
        right, measured = exercise.judge(answer)
    except ValueError as error:
        raise WrongUse(str(error)) from error
    if not json:
        verdict = "Right" if right else "Not right"
        print_text(f"{verdict}: {exercises.in_plain_words(measured)} was measured just now. {exercise.why}\n")
    return int(not right), {"number": number, "right": right, "measured": measured, "why": exercise.why}


def sweep(
    study: str,
    out: str | None = None,
    dry_run: bool = False,
    status: bool = False,
    stop: bool = False,
    verify: int | None = None,
    retry: bool = False,
    begin_with: str | None = None,
    tensorboard: bool = False,
    workers: int | None = None,
    address: str | None = None,
    cpus: float = 1.0,
    gpus: float = 0.0,
    devices: int = 1,
    export: str | None = None,
    plot: str | None = None,
    json: bool = False,
) -> Ending:
    """Run the trials of a study that have no result yet. The same command goes on after an interruption.

    Args:
        study: A YAML file that names cells, mitigations, tasks, lags, rates and seeds; or a study that comes with rnnvanish.
        out: Folder of its results; by default studies/NAME.
        dry_run: Say how many trials there are, and how long they take at most, from a few timed steps.
        status: Say how far it is, and run nothing.
        stop: Ask whoever runs the study in this folder to stop after the trials that are running.
        verify: Run so many stored trials again, drawn at random, and note whether they give the same numbers.
        retry: Run trials that failed again.
        begin_with: Results to go on from: a .json file that --export wrote, a folder, or the name of a study that comes with
            rnnvanish. Each keeps the day and the code that it was made with; only what is missing is run.
        tensorboard: Log each trial for TensorBoard, in the study's folder.
        workers: Run so many trials at a time, each in a process of its own, on Ray; by default one, in this process.
        address: Run them on the Ray cluster with this address, such as 10.0.0.1:6379; as many as it has room for.
        cpus: Cores of a machine that a trial takes, or a part of one.
        gpus: GPUs of a machine that a trial takes, or a part of one.
        devices: Share each batch of a trial between so many processes, each on a device, by Lightning's strategy ddp.
        export: A file for the results, a row a trial: .csv, .parquet, or .json for rnnvanish itself.
        plot: A file for a picture: which share of the seeds learns, by lag, a line for each network.
        json: Print how it ended as one line of JSON.
    """
    given = {"dry_run": dry_run, "status": status, "stop": stop, "verify": verify is not None}
    modes = [name for name, wanted in given.items() if wanted]
    if len(modes) > 1:
        raise WrongUse(f"sweep does one thing at a time, got --{' and --'.join(modes)}.")
    if modes and begin_with is not None:
        raise WrongUse(f"--begin_with is for running a study, got --{modes[0]} with it: run it first, or leave it out.")
    from rnnvanish.studies import command

    mode = modes[0] if modes else "run"
    runner = command.runner(workers, address, cpus, gpus)
    return command.run(
        study,
        out,
        mode,
        json,
        retry=retry,
        begin_with=begin_with,
        tensorboard=tensorboard,
        devices=devices,
        exported=export,
        plotted=plot,
        again=verify or 0,
        runner=runner,
    )


#: Every command by its name.
COMMANDS: dict[str, Callable[..., Ending]] = {
    c.__name__: c for c in (cells, check, claims, diagnose, mitigations, sweep, train)
}


def main(args: list[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    given = sys.argv[1:] if args is None else args
    as_json = wants_json(given)
    try:
        with standard_output(process=args is None, alone=as_json) as out:
            code, document = _ended(given)
            print_text(f"{to_json(_signed(document))}\n" if as_json and document is not None else "", out)
    except WrongUse as error:
        complain(one_line(error))
        return 2
    except KeyboardInterrupt:
        return 130
    return code


def _signed(document: dict[str, Any]) -> dict[str, Any]:
    """A document with the version and the commit of what prints it. A report, and what a run came to, say so themselves."""
    from rnnvanish.records.version import this_commit

    if {"provenance", "versions"} & document.keys():
        return document
    return {"version": version("rnnvanish"), "commit": this_commit()} | document


def _ended(args: list[str]) -> Ending:
    """Run a command to its end, whatever that is."""
    said: object
    try:
        if "--version" in args and wants_json(args):
            return 0, {}
        from rnnvanish.arguments import parsed

        name, options = parsed(args, COMMANDS, (check, diagnose, cells, mitigations, sweep), configurable=(train,))
        return COMMANDS[name](**options)
    except SystemExit as end:  # the parser's: --help, --version
        return (end.code if isinstance(end.code, int) else 2), None
    except (NotInstalled, WrongUse) as error:
        code, said = 2, one_line(error)
    except KeyboardInterrupt:
        code, said = 130, "Interrupted."
    except Exception as error:  # noqa: BLE001  # exit code 1 says something else
        traceback.print_exc()
        code, said = 2, f"This is a fault of rnnvanish itself: {one_line(repr(error))}"
    complain(said)
    return code, {"error": said}


if __name__ == "__main__":
    sys.exit(main())
