// Rows for people. Streams are tables: a header with the stream's name, the date and the columns
// (names folded at underscores), then one aligned line a row: window, keys, and as many of the
// other columns as the terminal is wide; the header says how many are not shown. Alerts are one
// line each, coloured by severity.
//
//   ── metrics · 2022-06-13 UTC ─────────────────────────────── 12 more columns
//                                     avg  temperature
//   window       device_id    temperature          p95  records
//   13:55-14:00  sensor-0001        21.53        22.10      300
//
//   ▲ 14:00:00 critical CriticalTemperature  device_id=sensor-0003  Critical temperature 81.2 on
//   ...
//
// A row of a window that is not its first at the window's end says so: "running", "correction".
//
// At most rows_per_second_max rows a second of the clock; the rest is counted and told in a line.
#pragma once

#include <iosfwd>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/connectors/sink.h"
#include "engine/env/clock.h"
#include "engine/model/job.h"
#include "engine/model/types.h"

namespace millrace {

// What the console sinks of a process write to, one at a time.
struct ConsoleScreen {
  std::ostream* out = nullptr;
  bool color = false;
  int width = 100;             // columns
  std::mutex mutex;            // held while a sink writes
  const void* last = nullptr;  // the sink that wrote last; by mutex
};

// Standard output: colour where it is a terminal and NO_COLOR is not set, its width, else 120.
std::shared_ptr<ConsoleScreen> StandardOutputScreen();

// `keys`: columns of `schema` that are shown first, after the window. Rows with text columns
// `alert` and `labels` are shown as alerts; rows with window_start and window_end as windows.
std::unique_ptr<SinkWriter> MakeConsoleSink(const ConsoleSinkSpec& spec, const std::string& stream,
                                            const Schema& schema, const std::vector<int>& keys,
                                            std::shared_ptr<const Clock> clock,
                                            std::shared_ptr<ConsoleScreen> screen);

}  // namespace millrace
