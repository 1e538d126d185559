"""Watching swapd: what it counts, what it logs, what it traces, and that no secret is in any of it (rule S9).

    redact.py    finds secrets in whatever is to be written down
    encodings.py the ways in which bytes become text
    logs.py      lines of text or JSON, through the redactor
    meter.py     what happened, counted, in a registry of its own
    facts.py     how things are, as figures
    tracing.py   spans, where an operator wants them
    telemetry.py all of it in one hand

Nothing here decides anything, and nothing waits for it.
"""
