#include "engine/connectors/console/console_sink.h"

#include <arrow/array.h>
#include <simdjson.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>
#include <sstream>

#include "engine/connectors/console/console_text.h"
#include "engine/env/no_color.h"

namespace millrace {
namespace {

constexpr int kCellWidthMax = 32;
constexpr size_t kNameWidthMin = 9;
constexpr size_t kNameSlack = 2;  // a short last part ("_c", "_1") gets no line of its own
constexpr int kRowsPerHeader = 40;

constexpr const char* kBold = "\x1b[1m";
constexpr const char* kDim = "\x1b[2m";
constexpr const char* kRed = "\x1b[1;31m";
constexpr const char* kYellow = "\x1b[33m";
constexpr const char* kCyan = "\x1b[36m";
constexpr const char* kReset = "\x1b[0m";

std::string Spaces(int count) { return std::string(size_t(std::max(count, 0)), ' '); }

// "avg_temperature_c" in lines of at most about the longest part: {"avg", "temperature", "c"}.
std::vector<std::string> FoldName(const std::string& name) {
  std::vector<std::string> parts;
  std::istringstream stream(name);
  size_t longest = kNameWidthMin;
  for (std::string part; std::getline(stream, part, '_');) {
    longest = std::max(longest, part.size());
    parts.push_back(std::move(part));
  }
  std::vector<std::string> lines;
  for (auto& part : parts) {
    if (!lines.empty() && lines.back().size() + 1 + part.size() <= longest + kNameSlack) {
      lines.back() += "_" + part;
    } else {
      lines.push_back(std::move(part));
    }
  }
  if (lines.empty()) lines.push_back(name);
  return lines;
}

// The members of a JSON object as text, in order; none where it is no such object.
std::vector<std::pair<std::string, std::string>> TextMembers(std::string_view json) {
  std::vector<std::pair<std::string, std::string>> members;
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(json.data(), json.size()).get(object) != simdjson::SUCCESS) return members;
  for (const auto [key, value] : object) {
    std::string_view text;
    if (value.get(text) == simdjson::SUCCESS) {
      members.emplace_back(key, text);
    } else {
      members.emplace_back(key, simdjson::minify(value));
    }
  }
  return members;
}

class ConsoleSink : public SinkWriter {
 public:
  ConsoleSink(const ConsoleSinkSpec& spec, std::string stream, Schema schema,
              std::shared_ptr<const Clock> clock, std::shared_ptr<ConsoleScreen> screen)
      : spec_(spec),
        stream_(std::move(stream)),
        schema_(std::move(schema)),
        clock_(std::move(clock)),
        screen_(std::move(screen)) {}

  Status Open() override { return Status::OK(); }

  Status Write(const Rows& rows, std::vector<DeadLetter>*) override {
    if (rows.size() == 0) return Status::OK();
    std::lock_guard lock(screen_->mutex);
    text_.clear();
    kind_ = rows.kind;
    TellHidden();
    const int64_t shown = std::min(rows.size(), std::max<int64_t>(Allowed(), 0));
    if (shown > 0) {
      Begin(*rows.batch, shown);
      for (int64_t row = 0; row < shown; ++row) AppendRow(*rows.batch, row);
      shown_in_second_ += shown;
      screen_->last = this;
    }
    hidden_ += rows.size() - shown;
    rows_written_ += rows.size();
    return Print();
  }

  Status Flush() override {
    std::lock_guard lock(screen_->mutex);
    text_.clear();
    TellHidden();
    return Print();
  }

  Status Finish() override {
    second_ = -1;  // nothing stays untold
    return Flush();
  }

  SinkStats stats() const override { return {rows_written_, bytes_written_, 0}; }
  std::string description() const override { return "console"; }

 protected:
  // Before the first of `count` rows: headers.
  virtual void Begin(const arrow::RecordBatch& batch, int64_t count) = 0;
  virtual void AppendRow(const arrow::RecordBatch& batch, int64_t row) = 0;

  std::string Colored(const char* color, const std::string& text) const {
    return screen_->color && *color != '\0' ? color + text + kReset : text;
  }

  const ConsoleSinkSpec spec_;
  const std::string stream_;
  const Schema schema_;
  const std::shared_ptr<const Clock> clock_;
  const std::shared_ptr<ConsoleScreen> screen_;
  std::string text_;  // of this call
  RowKind kind_ = RowKind::kOnTime;

 private:
  // How many more rows this second takes.
  int64_t Allowed() {
    const int64_t now = CurrentSecond();
    if (now != second_) {
      second_ = now;
      shown_in_second_ = 0;
    }
    return spec_.rows_per_second_max - shown_in_second_;
  }

  int64_t CurrentSecond() const { return clock_->Monotonic() / std::chrono::seconds(1); }

  void TellHidden() {
    if (hidden_ == 0 || CurrentSecond() == second_) return;
    text_ +=
        Colored(kDim, "  \u2026 and " + GroupedNumber(hidden_) + " more rows of " + stream_) + "\n";
    hidden_ = 0;
  }

  Status Print() {
    if (text_.empty()) return Status::OK();
    *screen_->out << text_ << std::flush;
    if (!*screen_->out) {
      return ExternalError("console_closed", "standard output takes no more", Retry::kNo);
    }
    bytes_written_ += int64_t(text_.size());
    return Status::OK();
  }

  int64_t second_ = -1;
  int64_t shown_in_second_ = 0;
  int64_t hidden_ = 0;
  int64_t rows_written_ = 0;
  int64_t bytes_written_ = 0;
};

class TableSink final : public ConsoleSink {
 public:
  TableSink(const ConsoleSinkSpec& spec, std::string stream, const Schema& schema,
            const std::vector<int>& keys, std::shared_ptr<const Clock> clock,
            std::shared_ptr<ConsoleScreen> screen)
      : ConsoleSink(spec, std::move(stream), schema, std::move(clock), std::move(screen)) {
    start_ = TimeColumn("window_start");
    end_ = TimeColumn("window_end");
    if (start_ < 0 || end_ < 0) start_ = end_ = -1;
    if (start_ >= 0) AddColumn(-1, "window");
    for (const int key : keys) {
      if (key != start_ && key != end_) AddColumn(key, schema_.fields[size_t(key)].name);
    }
    for (int i = 0; i < int(schema_.fields.size()); ++i) {
      const bool is_key = std::find(keys.begin(), keys.end(), i) != keys.end();
      if (i != start_ && i != end_ && !is_key) AddColumn(i, schema_.fields[size_t(i)].name);
    }
  }

 private:
  struct Column {
    int index = -1;                 // of the schema; -1: the window
    std::vector<std::string> name;  // folded
    int width = 0;
    bool right = false;
  };

  int TimeColumn(std::string_view name) const {
    const int index = schema_.IndexOf(name);
    return index >= 0 && schema_.fields[size_t(index)].type == Type::kTimestamp ? index : -1;
  }

  void AddColumn(int index, const std::string& name) {
    Column column;
    column.index = index;
    column.name = FoldName(name);
    for (const auto& line : column.name) column.width = std::max(column.width, TextWidth(line));
    column.right = index >= 0 && IsNumeric(schema_.fields[size_t(index)].type);
    columns_.push_back(std::move(column));
  }

  static EventTime TimeAt(const arrow::RecordBatch& batch, int column, int64_t row) {
    return EventTime(
        Micros(static_cast<const arrow::TimestampArray&>(*batch.column(column)).Value(row)));
  }

  std::string Cell(const arrow::RecordBatch& batch, const Column& column, int64_t row) const {
    if (column.index >= 0) {
      return CellText(*batch.column(column.index), schema_.fields[size_t(column.index)].type, row,
                      kCellWidthMax);
    }
    if (batch.column(start_)->IsNull(row) || batch.column(end_)->IsNull(row)) return "-";
    return WindowText(TimeAt(batch, start_, row), TimeAt(batch, end_, row));
  }

  std::string Date(const arrow::RecordBatch& batch, int64_t row) const {
    return end_ < 0 || batch.column(start_)->IsNull(row) ? "" : DateOf(TimeAt(batch, start_, row));
  }

  // Widths only grow, so that columns stay where they are.
  void Begin(const arrow::RecordBatch& batch, int64_t count) override {
    bool grown = false;
    for (Column& column : columns_) {
      int width = column.width;
      for (int64_t row = 0; row < count; ++row) {
        width = std::max(width, TextWidth(Cell(batch, column, row)));
      }
      grown = grown || width != column.width;
      column.width = width;
    }
    if (grown) Fit();
    if (grown || screen_->last != this || shown_ == 0) header_due_ = true;
  }

  // The columns that the screen is wide enough for; always the first.
  void Fit() {
    int width = 2;
    shown_ = 0;
    for (const Column& column : columns_) {
      width += column.width + 2;
      if (shown_ > 0 && width - 2 > screen_->width) break;
      ++shown_;
    }
  }

  void AppendRow(const arrow::RecordBatch& batch, int64_t row) override {
    std::string date = Date(batch, row);
    if (header_due_ || date != date_ || rows_below_header_ >= kRowsPerHeader) {
      date_ = std::move(date);
      AppendHeader();
    }
    std::vector<std::string> cells;
    for (size_t i = 0; i < shown_; ++i) cells.push_back(Cell(batch, columns_[i], row));
    AppendLine(cells, "");
    if (kind_ != RowKind::kOnTime) {
      text_.pop_back();
      text_ += "  " + Colored(kDim, std::string(RowKindName(kind_))) + "\n";
    }
    ++rows_below_header_;
  }

  void AppendHeader() {
    if (shown_ == 0) Fit();
    std::string title = stream_;
    if (!date_.empty()) title += " \u00b7 " + date_ + " UTC";
    std::string note;
    if (const size_t more = columns_.size() - shown_; more > 0) {
      note = " " + std::to_string(more) + (more == 1 ? " more column" : " more columns");
    }
    std::string rule;
    const int left =
        std::min(screen_->width, TableWidth()) - TextWidth(title) - TextWidth(note) - 4;
    for (int i = 0; i < std::max(left, 2); ++i) rule += "\u2500";
    text_ += "\n" + Colored(kDim, "\u2500\u2500 ") + Colored(kBold, title) +
             Colored(kDim, " " + rule + note) + "\n";
    size_t lines = 0;
    for (size_t i = 0; i < shown_; ++i) lines = std::max(lines, columns_[i].name.size());
    for (size_t line = 0; line < lines; ++line) {
      std::vector<std::string> cells;
      for (size_t i = 0; i < shown_; ++i) {
        const auto& name = columns_[i].name;
        const size_t above = lines - name.size();  // names end in the last line
        cells.push_back(line >= above ? name[line - above] : "");
      }
      AppendLine(cells, kDim);
    }
    header_due_ = false;
    rows_below_header_ = 0;
  }

  int TableWidth() const {
    int width = 0;
    for (size_t i = 0; i < shown_; ++i) width += columns_[i].width + 2;
    return std::max(width, 60);
  }

  void AppendLine(const std::vector<std::string>& cells, const char* color) {
    std::string line = "  ";
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string fill = Spaces(columns_[i].width - TextWidth(cells[i]));
      line += columns_[i].right ? fill + cells[i] : cells[i] + fill;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text_ += Colored(color, line) + "\n";
  }

  int start_ = -1;
  int end_ = -1;
  std::vector<Column> columns_;  // window, keys, others
  size_t shown_ = 0;
  bool header_due_ = true;
  int rows_below_header_ = 0;
  std::string date_;
};

class AlertSink final : public ConsoleSink {
 public:
  using ConsoleSink::ConsoleSink;

 private:
  std::string_view Text(const arrow::RecordBatch& batch, std::string_view name, int64_t row) const {
    const int index = schema_.IndexOf(name);
    if (index < 0 || schema_.fields[size_t(index)].type != Type::kText ||
        batch.column(index)->IsNull(row)) {
      return {};
    }
    return static_cast<const arrow::StringArray&>(*batch.column(index)).GetView(row);
  }

  static const char* ColorOf(std::string_view severity) {
    if (severity == "critical" || severity == "emergency" || severity == "page") return kRed;
    if (severity == "warning" || severity == "high") return kYellow;
    if (severity == "info" || severity == "low") return kCyan;
    return "";
  }

  void Begin(const arrow::RecordBatch&, int64_t) override {
    if (screen_->last != this && screen_->last != nullptr) text_ += "\n";
  }

  void AppendRow(const arrow::RecordBatch& batch, int64_t row) override {
    std::string severity;
    for (auto& [name, value] : TextMembers(Text(batch, "labels", row))) {
      if (name == "severity") severity = CleanText(value, kCellWidthMax);
    }
    std::string summary;
    for (auto& [name, value] : TextMembers(Text(batch, "annotations", row))) {
      if (name == "summary" || (name == "description" && summary.empty())) summary = value;
    }
    std::string key;
    for (auto& [name, value] : TextMembers(Text(batch, "key", row))) {
      key += (key.empty() ? "" : " ") + name + "=" + value;
    }
    const int time = schema_.IndexOf("event_time");
    std::string at = "--:--:--";
    if (time >= 0 && batch.column(time)->IsValid(row)) {
      at = TimeOfDay(EventTime(
          Micros(static_cast<const arrow::TimestampArray&>(*batch.column(time)).Value(row))));
    }
    const std::string name = CleanText(Text(batch, "alert", row), 40);
    const char* color = ColorOf(severity);
    std::string level = severity + Spaces(8 - TextWidth(severity));
    text_ += Colored(color, "\u25b2") + " " + at + " " + Colored(color, level + " " + name);
    const int used = 2 + 8 + 1 + TextWidth(level) + 1 + TextWidth(name);
    const std::string rest =
        (key.empty() ? "" : "  " + key) + (summary.empty() ? "" : "  " + summary);
    text_ += CleanText(rest, std::max(screen_->width - used, 30)) + "\n";
  }
};

bool IsText(const Schema& schema, std::string_view name) {
  const int index = schema.IndexOf(name);
  return index >= 0 && schema.fields[size_t(index)].type == Type::kText;
}

}  // namespace

std::shared_ptr<ConsoleScreen> StandardOutputScreen() {
  auto screen = std::make_shared<ConsoleScreen>();
  screen->out = &std::cout;
  screen->color = isatty(STDOUT_FILENO) != 0 && !NoColor();
  winsize size{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  screen->width = known ? std::max<int>(size.ws_col, 40) : 120;
  return screen;
}

std::unique_ptr<SinkWriter> MakeConsoleSink(const ConsoleSinkSpec& spec, const std::string& stream,
                                            const Schema& schema, const std::vector<int>& keys,
                                            std::shared_ptr<const Clock> clock,
                                            std::shared_ptr<ConsoleScreen> screen) {
  if (IsText(schema, "alert") && IsText(schema, "labels")) {
    return std::make_unique<AlertSink>(spec, stream, schema, std::move(clock), std::move(screen));
  }
  return std::make_unique<TableSink>(spec, stream, schema, keys, std::move(clock),
                                     std::move(screen));
}

}  // namespace millrace
