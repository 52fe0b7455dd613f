// Lines of a job's log, as `logs` and `describe` show them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proto/admin.pb.h"

namespace millrace {

enum class JobLogLevel { kInfo, kWarn, kError };

// "info", "warn", "error".
std::optional<JobLogLevel> JobLogLevelFromName(std::string_view name);
// One that is not known counts as an error: it shall not be missed.
JobLogLevel LevelOf(const proto::LogLine& line);

// "2024-01-01T00:00:00.000000Z  warn   worker-0     message", and a line break. Further lines of a
// message are indented.
std::string FormatLogLine(const proto::LogLine& line);

}  // namespace millrace
