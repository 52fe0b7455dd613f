// The process's log, on standard error: one line an event, as text for people or as JSON for
// programs. A message is a fixed sentence; what varies goes into fields, so that lines can be
// searched. One logger a process; every function may be called from any thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "engine/base/status.h"

namespace millrace {

enum class LogFormat {
  kText,  // 2022-06-15T13:55:00.123Z warn  broker is away  broker=localhost:9092 attempt=3
  kJson,  // {"time":"2022-06-15T13:55:00.123456Z","level":"warn","message":"broker is away",...}
};
enum class LogLevel { kDebug, kInfo, kWarn, kError };

// "text", "json"; "debug", "info", "warn", "error".
std::optional<LogFormat> LogFormatFromName(std::string_view name);
std::optional<LogLevel> LogLevelFromName(std::string_view name);

struct LogField {
  std::string_view key;  // lower_snake_case
  std::variant<int64_t, double, bool, std::string> value;

  LogField(std::string_view k, std::string_view v) : key(k), value(std::string(v)) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string(v)) {}
  LogField(std::string_view k, int64_t v) : key(k), value(v) {}
  LogField(std::string_view k, int v) : key(k), value(int64_t(v)) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
};

// Until it is called, the log is text at level info. Text is coloured on a terminal, unless
// NO_COLOR is set. May be called again.
void SetUpLogging(LogFormat format, LogLevel level);
// Writes to `out` instead, which must outlive the next set-up; never coloured.
void SetUpLogging(LogFormat format, LogLevel level, std::ostream* out);

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});
inline void LogDebug(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kDebug, message, fields);
}
inline void LogInfo(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kInfo, message, fields);
}
inline void LogWarn(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kWarn, message, fields);
}
inline void LogError(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kError, message, fields);
}
// An error with its code, domain and whether a retry may help as fields.
void LogStatus(LogLevel level, std::string_view message, const Status& status,
               std::initializer_list<LogField> fields = {});

}  // namespace millrace
