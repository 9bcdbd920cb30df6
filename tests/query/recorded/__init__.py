"""Answers of the databases, kept: what the differential test asks a server, replayed without one in a second or two.

`case` is a recorded mapping with its histories and answers, `documents` has PostgreSQL compute what should be served,
`python -m tests.query.recorded.replay` compares; `python -m tests.query.recorded` records `answers.json.gz` anew from real
servers.
"""
