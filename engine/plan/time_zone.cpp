#include "engine/plan/time_zone.h"

#include <absl/time/civil_time.h>
#include <absl/time/time.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>

namespace millrace {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr size_t kNameBytesMax = 64;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  return lower;
}

// Where Abseil looks, too.
std::filesystem::path Folder() {
  const char* const folder = std::getenv("TZDIR");
  return folder != nullptr ? folder : "/usr/share/zoneinfo";
}

// Every part of a zone's name begins with a capital; folders of other forms of the same zones
// ("posix", "right") and tables ("zone.tab", "+VERSION") do not.
void CollectNames(const std::filesystem::path& folder, const std::string& prefix, int depth,
                  std::vector<std::string>* names) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.empty() || name[0] < 'A' || name[0] > 'Z' || name == "SystemV") continue;
    if (entry.is_directory(error)) {
      if (depth < 3) CollectNames(entry.path(), prefix + name + "/", depth + 1, names);
    } else if (entry.is_regular_file(error)) {
      names->push_back(prefix + name);
    }
  }
}

bool Fits(__int128 micros) { return micros >= INT64_MIN && micros <= INT64_MAX; }

int64_t FloorSeconds(int64_t micros) { return micros / kSecond - (micros % kSecond < 0 ? 1 : 0); }

}  // namespace

struct TimeZone::Rules {
  absl::TimeZone zone;
};

TimeZone::TimeZone(std::unique_ptr<Rules> rules) : rules_(std::move(rules)) {}
TimeZone::~TimeZone() = default;

const std::vector<std::string>& TimeZone::Names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> found;
    CollectNames(Folder(), "", 0, &found);
    std::ranges::sort(found);
    return found;
  }();
  return names;
}

std::unique_ptr<TimeZone> TimeZone::Load(const std::string& name) {
  auto rules = std::make_unique<Rules>();
  if (!absl::LoadTimeZone(name, &rules->zone)) return nullptr;
  return std::unique_ptr<TimeZone>(new TimeZone(std::move(rules)));
}

// Only names of the database are ever kept, so what is kept is bounded.
const TimeZone* TimeZone::Find(std::string_view name) {
  static const std::map<std::string, std::string> by_lower_case = [] {
    // PostgreSQL's abbreviations of these names, which come first there, know no summer time.
    std::map<std::string, std::string> known{{"utc", "UTC"},
                                             {"wet", "Etc/GMT"},
                                             {"cet", "Etc/GMT-1"},
                                             {"met", "Etc/GMT-1"},
                                             {"eet", "Etc/GMT-2"}};
    for (const std::string& each : Names()) known.emplace(Lower(each), each);
    return known;
  }();
  if (name.size() > kNameBytesMax) return nullptr;
  const auto known = by_lower_case.find(Lower(name));
  if (known == by_lower_case.end()) return nullptr;
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<TimeZone>> loaded;
  const std::scoped_lock lock(mutex);
  auto& zone = loaded[known->second];
  if (zone == nullptr) zone = Load(known->second);
  return zone.get();
}

int64_t TimeZone::OffsetSeconds(int64_t utc_micros) const {
  return rules_->zone.At(absl::FromUnixMicros(utc_micros)).offset;
}

std::optional<int64_t> TimeZone::ToLocal(int64_t utc_micros) const {
  const __int128 local = __int128(utc_micros) + __int128(OffsetSeconds(utc_micros)) * kSecond;
  if (!Fits(local)) return std::nullopt;
  return int64_t(local);
}

std::optional<int64_t> TimeZone::ToUtc(int64_t local_micros) const {
  const int64_t seconds = FloorSeconds(local_micros);
  const absl::TimeZone::TimeInfo info = rules_->zone.At(absl::CivilSecond() + seconds);
  const bool twice = info.kind == absl::TimeZone::TimeInfo::REPEATED;
  const int64_t utc_seconds = absl::ToUnixSeconds(twice ? info.post : info.pre);
  const __int128 utc = __int128(utc_seconds) * kSecond + (local_micros - seconds * kSecond);
  if (!Fits(utc)) return std::nullopt;
  return int64_t(utc);
}

}  // namespace millrace
