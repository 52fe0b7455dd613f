"""Windows of a day that stay open, of twelve columns with exact percentiles: much state soon."""

from __future__ import annotations

COLUMNS = (
    "Temperature[C]", "Humidity[%]", "TVOC[ppb]", "eCO2[ppm]", "Raw H2", "Raw Ethanol",
    "Pressure[hPa]", "PM1.0", "PM2.5", "NC0.5", "NC1.0", "NC2.5",
)  # fmt: skip

# Of the source `readings`.
COLUMN_LINES = "\n".join(
    f'        c{i}: {{type: double, from: "{column}"}}' for i, column in enumerate(COLUMNS)
)
_AGGREGATES = ",\n".join(
    f"               avg(c{i}) AS a{i}, stddev_samp(c{i}) AS s{i}, min(c{i}) AS l{i},"
    f" max(c{i}) AS h{i}, percentile_cont(0.5) WITHIN GROUP (ORDER BY c{i}) AS m{i}"
    for i in range(len(COLUMNS))
)
# A day of each device, and how many devices there were.
STREAM_LINES = f"""\
    days:
      sql: |
        SELECT window_start, window_end, device_id,
{_AGGREGATES}
        FROM tumble(readings, size => INTERVAL '1 day')
        GROUP BY window_start, window_end, device_id
    devices:
      sql: |
        SELECT window_start, window_end, count(*) AS devices
        FROM tumble(days, size => INTERVAL '1 day')
        GROUP BY window_start, window_end"""
