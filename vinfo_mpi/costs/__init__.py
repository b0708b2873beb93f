"""What stages take: memory, disk, operations, bytes sent."""
