"""The HTTP API: doors for marketplaces, operators, dispute handlers, auditors and admins.

server.py       uvicorn beside the daemon
app.py          the application and its list of routers
doors.py        what every request passes: bounds, key, limits, body
access.py       callers, roles, and the marks of routes
keys.py         what a key looks like; signing.py: signed requests; lockout.py: guessing; rates.py: floods
bounds.py       what a request may be at all
problems.py     the one shape of an error
forms.py        shared field types; paging.py, conditional.py, idempotency.py: helpers of routes
document.py     the OpenAPI document
routes/         the routes themselves
"""
