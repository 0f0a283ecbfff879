"""The memory: nights, jobs, machines, events and alerts, in PostgreSQL or SQLite.

It is the only place where the fleet remembers anything; boards are lost and conductors die. It
decides nothing. Every change of a job or a night and the event that tells of it are one
transaction, and the events cannot be changed afterwards by anybody.
"""
