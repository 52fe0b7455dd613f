"""Processes, brokers and disks that die: what comes out is what an undisturbed run gives."""
