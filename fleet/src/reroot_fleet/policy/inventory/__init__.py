"""Machines from an Ansible inventory or a CSV file: texts to hosts, every mistake by file and line."""

from reroot_fleet.policy.inventory.inventory import Inventory, read_inventory

__all__ = ["Inventory", "read_inventory"]
