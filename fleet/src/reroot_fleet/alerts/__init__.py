"""What leaves the fleet for people who sleep: alerts from the outbox, and metrics.

Nothing here decides that something is wrong, but for one thing that nobody else can see: that no
conductor is alive.
"""
