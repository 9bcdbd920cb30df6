"""The database is the oracle: random schemas, queries and histories; the maintained answer must be the database's own.

`kinds` column types and values, `schema` random tables, `expressions` random SQL, `shapes` random mappings of a known
shape, `history` what happens to rows and how a log may tell it, `databases` PostgreSQL and MariaDB, `batch` one mapping
with several histories compared. `python -m tests.query.differential` is the campaign and the replay of a seed.
"""
