"""Private names of torch that this package leans on, and what happens with a torch that has them not.

Each is used through a function of a file here. Where torch has it no more, either the compiled engine is left for the plain loop,
with one line in the log that says why (`Missing`), or another way gives the same numbers for more time or memory, and a
line in the log says that. Nobody meets an AttributeError, and no number is wrong.

Three kinds of names stay where they are used: what torch tells those to override who write modules (`_apply`,
`_load_from_state_dict`), the tables of a module that every pickled one holds (`_parameters`, `_buffers`, `_modules`),
and names that `Recurrent` has so that it can be read as a layer of torch is.
"""
