"""Modules about data sets that are not here are left out: nothing in them could fail."""

from oracle.shared_data import present

_NEEDS = {
    "test_smoke_data_set.py": ("smoke/smoke_detection_reduced.csv",),
    "test_machine_data.py": (
        "machine/ambient_temperature_system_failure.csv",
        "machine/machine_temperature_system_failure.csv",
    ),
    "test_arroyo_data.py": ("rides/rides.json", "impulse/impulse.json"),
}
collect_ignore = [module for module, files in _NEEDS.items() if not present(*files)]
