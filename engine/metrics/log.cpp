#include "engine/metrics/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <charconv>
#include <cmath>
#include <mutex>

#include "engine/base/utf8.h"
#include "engine/env/no_color.h"

namespace millrace {
namespace {

// The payload is rendered by Log; the pattern adds time and level around it.
constexpr const char* kTextPattern = "%Y-%m-%dT%H:%M:%S.%eZ %^%-5l%$ %v";
constexpr const char* kJsonPattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l",%v})";

struct Logger {
  std::shared_ptr<spdlog::logger> logger;
  LogFormat format = LogFormat::kText;
};

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// "warn", not spdlog's "warning".
class LevelName final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    std::string_view name = "info";
    switch (message.level) {
      case spdlog::level::debug:
        name = "debug";
        break;
      case spdlog::level::warn:
        name = "warn";
        break;
      case spdlog::level::err:
        name = "error";
        break;
      default:
        break;
    }
    out.append(name.data(), name.data() + name.size());
    for (size_t i = name.size(); padinfo_.enabled() && i < padinfo_.width_; ++i) out.push_back(' ');
  }
  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<LevelName>();
  }
};

std::shared_ptr<const Logger> MakeLogger(LogFormat format, LogLevel level, spdlog::sink_ptr sink) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<LevelName>('l').set_pattern(format == LogFormat::kText ? kTextPattern
                                                                             : kJsonPattern);
  sink->set_formatter(std::move(formatter));
  auto made = std::make_shared<Logger>();
  made->format = format;
  made->logger = std::make_shared<spdlog::logger>("millrace", std::move(sink));
  made->logger->set_level(LevelOf(level));
  made->logger->flush_on(spdlog::level::debug);
  made->logger->set_error_handler([](const std::string&) {});  // a full disk stops no job
  return made;
}

std::shared_ptr<const Logger> StandardErrorLogger(LogFormat format, LogLevel level) {
  const bool plain = format == LogFormat::kJson || NoColor();
  return MakeLogger(format, level,
                    std::make_shared<spdlog::sinks::stderr_color_sink_mt>(
                        plain ? spdlog::color_mode::never : spdlog::color_mode::automatic));
}

std::mutex& LoggerMutex() {
  static std::mutex mutex;
  return mutex;
}

std::shared_ptr<const Logger>& LoggerSlot() {
  static std::shared_ptr<const Logger> logger =
      StandardErrorLogger(LogFormat::kText, LogLevel::kInfo);
  return logger;
}

std::shared_ptr<const Logger> CurrentLogger() {
  std::lock_guard lock(LoggerMutex());
  return LoggerSlot();
}

void Replace(std::shared_ptr<const Logger> logger) {
  std::lock_guard lock(LoggerMutex());
  LoggerSlot() = std::move(logger);
}

void AppendHex(unsigned char byte, std::string* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  out->push_back(kDigits[byte >> 4]);
  out->push_back(kDigits[byte & 15]);
}

// As a JSON string, always valid: where the text is not UTF-8, bytes above ASCII become U+FFFD.
void AppendJsonString(std::string_view text, std::string* out) {
  const bool utf8 = IsUtf8(text);
  out->push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (c == '\n') {
      out->append("\\n");
    } else if (byte < 0x20 || byte == 0x7f) {
      out->append("\\u00");
      AppendHex(byte, out);
    } else if (byte >= 0x80 && !utf8) {
      out->append("\\ufffd");
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

// One line, nothing that a terminal would obey.
void AppendPlain(std::string_view text, std::string* out) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out->append("\n    ");  // a message of several lines (diagnostics) stays readable
    } else if (byte < 0x20 || byte == 0x7f) {
      out->append("\\x");
      AppendHex(byte, out);
    } else {
      out->push_back(c);
    }
  }
}

void AppendTextValue(std::string_view value, std::string* out) {
  const bool bare = !value.empty() && value.find_first_of(" \t\n\"=") == std::string_view::npos;
  if (bare) {
    AppendPlain(value, out);
  } else {
    AppendJsonString(value, out);
  }
}

void AppendNumber(auto number, std::string* out) {
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
  out->append(digits, end);
}

void AppendValue(const LogField& field, LogFormat format, std::string* out) {
  if (const auto* integer = std::get_if<int64_t>(&field.value)) {
    AppendNumber(*integer, out);
  } else if (const auto* real = std::get_if<double>(&field.value)) {
    if (std::isfinite(*real)) {
      AppendNumber(*real, out);
    } else {
      out->append(format == LogFormat::kJson ? "null" : "nan");
    }
  } else if (const auto* boolean = std::get_if<bool>(&field.value)) {
    out->append(*boolean ? "true" : "false");
  } else if (format == LogFormat::kJson) {
    AppendJsonString(std::get<std::string>(field.value), out);
  } else {
    AppendTextValue(std::get<std::string>(field.value), out);
  }
}

std::string Render(LogFormat format, std::string_view message, const LogField* fields,
                   size_t count) {
  std::string line;
  if (format == LogFormat::kJson) {
    line.append("\"message\":");
    AppendJsonString(message, &line);
  } else {
    AppendPlain(message, &line);
  }
  for (size_t i = 0; i < count; ++i) {
    if (format == LogFormat::kJson) {
      line.push_back(',');
      AppendJsonString(fields[i].key, &line);
      line.push_back(':');
    } else {
      line.append(i == 0 ? "  " : " ").append(fields[i].key).push_back('=');
    }
    AppendValue(fields[i], format, &line);
  }
  return line;
}

void Write(LogLevel level, std::string_view message, const LogField* fields, size_t count) {
  const auto current = CurrentLogger();
  if (!current->logger->should_log(LevelOf(level))) return;
  const std::string line = Render(current->format, message, fields, count);
  current->logger->log(LevelOf(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

std::optional<LogFormat> LogFormatFromName(std::string_view name) {
  if (name == "text") return LogFormat::kText;
  if (name == "json") return LogFormat::kJson;
  return std::nullopt;
}

std::optional<LogLevel> LogLevelFromName(std::string_view name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "info") return LogLevel::kInfo;
  if (name == "warn") return LogLevel::kWarn;
  if (name == "error") return LogLevel::kError;
  return std::nullopt;
}

void SetUpLogging(LogFormat format, LogLevel level) { Replace(StandardErrorLogger(format, level)); }

void SetUpLogging(LogFormat format, LogLevel level, std::ostream* out) {
  Replace(MakeLogger(format, level, std::make_shared<spdlog::sinks::ostream_sink_mt>(*out)));
}

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  Write(level, message, fields.begin(), fields.size());
}

void LogStatus(LogLevel level, std::string_view message, const Status& status,
               std::initializer_list<LogField> fields) {
  std::vector<LogField> all(fields);
  all.emplace_back("error", status.message());
  if (const ErrorDetail* detail = ErrorDetail::Of(status)) {
    all.emplace_back("code", detail->code());
    const ErrorDomain domain = detail->domain();
    all.emplace_back("domain", domain == ErrorDomain::kUser       ? "user"
                               : domain == ErrorDomain::kExternal ? "external"
                                                                  : "internal");
    all.emplace_back("retry", detail->retry() == Retry::kYes);
  }
  Write(level, message, all.data(), all.size());
}

}  // namespace millrace
