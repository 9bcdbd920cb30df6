"""How many planted mistakes in the generator and the fold are found: `make mutants [N=300] [SEED=1]`.

`mutants` takes mutmut's mutations of each function, and draws a sample; `checks` are the recorded answers of the
databases (`tests/query/recorded`), then tests that need no server; `trial` forks a process for each mutant, which puts
the mutant in the function's place and runs some checks that call it (`choice`), for 2 seconds of CPU time at most;
`report` writes down what came out, in `last_run.md`. mutmut's own runner takes a whole pytest run a mutant and leaves
out what is decorated, hence only its mutations are used. How many checks there is time for is measured, so that one run
finds a mutant or two more than another.

Mutated is what turns a checked tree into Python, the Python's surroundings while rows come, and all that folds its
answer into documents and alerts. Left out: reading and refusing SQL (`parse`, `grammar`, `spelling` and the like, which
yield no answers), rendering for the ERP, and rows on disk, which have tests of their own. Of what is mutated, the words
of errors are left out: what stands in `raise`, in a call of `refuse`, and in `fix = ..`.

`argued.toml` says why nothing need find a mutant, where that is so.
"""
