#include "worker/run_figures.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr size_t kFurthest = 5;
constexpr size_t kKeyBytesMax = 100;

}  // namespace

std::map<std::string, KeyCensus> RunFigures::KeysByStream() const {
  std::map<std::string, KeyCensus> by_stream;
  for (const auto& [stream, tasks] : censuses) {
    KeyCensus& sum = by_stream[stream];
    for (const auto& [task, census] : tasks) {
      sum.live += census.live;
      sum.behind += census.behind;
      sum.offline += census.offline;
      sum.moved += census.moved;
      if (census.moved > 0) sum.moved_key = census.moved_key;
      sum.furthest.insert(sum.furthest.end(), census.furthest.begin(), census.furthest.end());
    }
    std::ranges::sort(sum.furthest, std::greater<>(), &KeyCensus::Behind::by);
    if (sum.furthest.size() > kFurthest) sum.furthest.resize(kFurthest);
  }
  return by_stream;
}

std::string FurthestBehind(const KeyCensus& census) {
  std::string text;
  for (const KeyCensus::Behind& behind : census.furthest) {
    text += (text.empty() ? "" : ", ") + behind.key.substr(0, kKeyBytesMax) + " by " +
            FormatDuration(behind.by);
  }
  return text;
}

}  // namespace millrace
