"""Machines that are not there: models of journals, boots, locks, fences and clocks, with faults.

For tests, benchmarks and a first try; no conductor of a real night imports it.
"""
