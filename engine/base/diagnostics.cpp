#include "engine/base/diagnostics.h"

#include <algorithm>
#include <cctype>

namespace millrace {
namespace {

constexpr size_t kShownMax = 100;
constexpr size_t kShownColumnsMax = 160;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  return lower;
}

// Damerau-Levenshtein distance in its "optimal string alignment" form.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

std::string_view LineOf(std::string_view text, int line) {
  for (int number = 1; number < line; ++number) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return "";
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

bool ContinuesCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Spaces (tabs kept) up to the caret's column, counted in characters.
std::string CaretPadding(std::string_view line, int column) {
  std::string padding;
  int seen = 1;
  for (size_t i = 0; i < line.size() && seen < column; ++i) {
    if (ContinuesCharacter(line[i])) continue;
    padding += line[i] == '\t' ? '\t' : ' ';
    ++seen;
  }
  return padding;
}

}  // namespace

Diagnostics::Diagnostics(std::string file_name, std::string text)
    : file_name_(std::move(file_name)), text_(std::move(text)) {}

void Diagnostics::Error(SourcePlace place, std::string message, std::string hint) {
  ++error_count_;
  items_.push_back({Severity::kError, place, std::move(message), std::move(hint)});
}

void Diagnostics::Warning(SourcePlace place, std::string message, std::string hint) {
  items_.push_back({Severity::kWarning, place, std::move(message), std::move(hint)});
}

std::string Diagnostics::Render() const {
  std::vector<Diagnostic> sorted = items_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.place < b.place; });
  std::string out;
  for (size_t i = 0; i < sorted.size() && i < kShownMax; ++i) {
    const Diagnostic& item = sorted[i];
    out += file_name_;
    if (item.place.line > 0) {
      out += ":" + std::to_string(item.place.line) + ":" + std::to_string(item.place.column);
    }
    out += item.severity == Severity::kError ? ": error: " : ": warning: ";
    out += item.message;
    if (!item.hint.empty()) out += "; " + item.hint;
    out += "\n";
    if (item.place.line <= 0) continue;
    const std::string_view line = LineOf(text_, item.place.line);
    if (line.size() > kShownColumnsMax) continue;
    std::string number = std::to_string(item.place.line);
    number.insert(0, number.size() < 6 ? 6 - number.size() : 0, ' ');
    out += number + " | " + std::string(line) + "\n";
    out += std::string(number.size(), ' ') + " | " + CaretPadding(line, item.place.column) + "^\n";
  }
  if (sorted.size() > kShownMax) {
    out += "... and " + std::to_string(sorted.size() - kShownMax) + " more\n";
  }
  return out;
}

Status Diagnostics::ToStatus() const {
  if (!has_errors()) return Status::OK();
  return UserError("invalid_job", Render());
}

std::string NearestName(std::string_view name, std::span<const std::string> candidates) {
  const std::string wanted = Lower(name);
  std::string best;
  size_t best_distance = std::max<size_t>(1, wanted.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(wanted, Lower(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string SuggestName(std::string_view name, std::span<const std::string> candidates) {
  const std::string nearest = NearestName(name, candidates);
  if (!nearest.empty()) return "did you mean '" + nearest + "'?";
  if (candidates.empty() || candidates.size() > 8) return "";
  std::string known = "known: ";
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (i > 0) known += ", ";
    known += candidates[i];
  }
  return known;
}

}  // namespace millrace
