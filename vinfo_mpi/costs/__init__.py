"""Costs of stages: memory, disk, operations, bytes sent."""
