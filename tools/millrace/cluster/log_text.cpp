#include "tools/millrace/cluster/log_text.h"

#include <spdlog/fmt/fmt.h>

#include "tools/millrace/cluster/terminal_text.h"

namespace millrace {

std::optional<JobLogLevel> JobLogLevelFromName(std::string_view name) {
  if (name == "info") return JobLogLevel::kInfo;
  if (name == "warn") return JobLogLevel::kWarn;
  if (name == "error") return JobLogLevel::kError;
  return std::nullopt;
}

JobLogLevel LevelOf(const proto::LogLine& line) {
  return JobLogLevelFromName(line.level()).value_or(JobLogLevel::kError);
}

std::string FormatLogLine(const proto::LogLine& line) {
  return fmt::format("{}  {:<5}  {:<12}  {}\n", EscapeLine(line.time()), EscapeLine(line.level()),
                     EscapeLine(line.where()), EscapeLines(line.message(), "    "));
}

}  // namespace millrace
