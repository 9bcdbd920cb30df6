"""The demo: a real Tryton on the local stack, captured and served, its stock followed live through a story.

`run.py` composes. The ERP: `tryton.py`, `masterdata.py`, `workshop.py`, `story.py`. Its administrator: `dba.py`.
onhand's operator: `attach.py`. What is seen: `feed.py`, `board.py`, `table.py`, `telling.py`.
"""
