#include "tools/simulator/delivery.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "tools/simulator/account_text.h"
#include "tools/simulator/partitioner.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Micros kHeldBackMargin = seconds(1);
constexpr Micros kHeldBackSpread = minutes(2);
constexpr Micros kFutureSpread = std::chrono::hours(24);
constexpr uint32_t kPromptMillis = 50;

constexpr std::string_view kNotJsonTexts[] = {"ERR 0x1f sensor restarting", "\x01\x02\x03\xff",
                                              "OK\r\n"};

Status Bad(std::string_view what) { return UserError("bad_simulation", what); }

std::vector<int32_t> FirstPartitions(const std::vector<int32_t>& counts) {
  std::vector<int32_t> first(counts.size());
  std::exclusive_scan(counts.begin(), counts.end(), first.begin(), 0);
  return first;
}

}  // namespace

Status CheckFaults(const DeliveryFaults& faults) {
  const double special = faults.late_share + faults.malformed_share + faults.future_share;
  for (double share : {faults.null_share, faults.late_share, faults.malformed_share,
                       faults.future_share, faults.duplicate_share, special}) {
    if (!(share >= 0 && share <= 1)) {
      return Bad("shares must be 0..1, and late, malformed and future together at most 1");
    }
  }
  if (faults.max_delay < Micros(0) || faults.max_delay > std::chrono::hours(24)) {
    return Bad("max_delay must be 0..24h");
  }
  if (faults.pane < milliseconds(1) || faults.pane > std::chrono::hours(24)) {
    return Bad("pane must be 1ms..24h");
  }
  return Status::OK();
}

void DeliveryAccount::Write(AccountText* text) const {
  text->Add("readings", readings);
  text->Add("counted", counted);
  text->Add("late", late);
  text->Add("future", future);
  text->Add("malformed", malformed());
  text->Add("truncated", truncated);
  text->Add("not_json", not_json);
  text->Add("wrong_type", wrong_type);
  text->Add("held_back", held_back);
  text->Add("duplicates", duplicates);
  text->Add("nulls", nulls);
  if (counted > 0) {
    text->AddText("first_event_time", FormatTimestamp(first_event_time));
    text->AddText("last_event_time", FormatTimestamp(last_event_time));
  }
  text->AddList("topics", topics);
}

Delivery::Delivery(const DeliveryFaults& faults, uint64_t seed,
                   std::vector<int32_t> partition_counts)
    : faults_(faults),
      random_(seed ^ 0x9fb21c651e98df25),
      partition_counts_(std::move(partition_counts)),
      first_partition_(FirstPartitions(partition_counts_)),
      rule_(faults.max_delay, faults.pane, faults.max_future,
            first_partition_.back() + partition_counts_.back()) {
  account_.topics.resize(partition_counts_.size());
}

Delivery::Way Delivery::Draw(EventTime measured) {
  Way way;
  way.fate = DrawFate();
  way.draw = uint32_t(random_.Next() >> 32);
  way.is_null = faults_.null_share > 0 && random_.Chance(faults_.null_share);
  way.twice = faults_.duplicate_share > 0 && random_.Chance(faults_.duplicate_share);
  way.event_time = measured;
  way.record_time = measured + DrawDelay(way.fate);
  if (way.fate == Fate::kFuture) {
    // The sensor's clock is ahead; the record's time is right. A minute more than the limit, so
    // that a second copy some seconds later is in the future as well.
    const Micros ahead =
        minutes(1) + Micros(int64_t(random_.Unit() * double(kFutureSpread.count())));
    way.event_time = std::chrono::floor<milliseconds>(way.record_time + faults_.max_future + ahead);
  }
  return way;
}

Delivery::Way Delivery::Plain(EventTime measured) {
  Way way;
  way.event_time = measured;
  way.record_time = measured + DrawDelay(Fate::kReading);
  return way;
}

Delivery::Fate Delivery::DrawFate() {
  double draw = random_.Unit();
  if ((draw -= faults_.late_share) < 0) return Fate::kHeldBack;
  if ((draw -= faults_.future_share) < 0) return Fate::kFuture;
  if (draw >= faults_.malformed_share) return Fate::kReading;
  static constexpr Fate kMalformed[] = {Fate::kTruncated, Fate::kNotJson, Fate::kWrongType};
  return kMalformed[random_.Below(3)];
}

Micros Delivery::DrawDelay(Fate fate) {
  if (fate == Fate::kHeldBack) {
    const Micros spread = std::min<Micros>(faults_.max_delay, kHeldBackSpread);
    return std::chrono::floor<milliseconds>(
        faults_.max_delay + faults_.pane + kHeldBackMargin +
        Micros(int64_t(random_.Unit() * double(spread.count()))));
  }
  const uint64_t draw = random_.Next();
  const uint64_t slow_max =
      uint64_t(std::min<Micros>(faults_.max_delay / 10, minutes(1)) / milliseconds(1));
  const uint64_t range = draw % 10 == 0 ? std::max<uint64_t>(slow_max, 1) : kPromptMillis;
  return milliseconds(1 + (draw >> 8) % range);
}

bool Delivery::ArrivesLater(const Pending& a, const Pending& b) {
  return std::pair(a.way.record_time, a.sequence) > std::pair(b.way.record_time, b.sequence);
}

void Delivery::Push(Pending pending) {
  pending.sequence = sequence_++;
  under_way_.push_back(std::move(pending));
  std::push_heap(under_way_.begin(), under_way_.end(), ArrivesLater);
}

void Delivery::Send(const Way& way, int32_t topic, std::string_view key, std::string value) {
  // Every strict prefix of an object is invalid JSON.
  if (way.fate == Fate::kTruncated) value.resize(1 + way.draw % (value.size() - 1));
  if (way.fate == Fate::kNotJson) value = kNotJsonTexts[way.draw % std::size(kNotJsonTexts)];
  Pending pending{.way = way, .topic = topic, .key = key, .value = std::move(value)};
  if (way.twice) {
    Pending copy = pending;
    copy.second_copy = true;
    copy.way.record_time += milliseconds(1 + way.draw % 400);
    Push(std::move(copy));
  }
  Push(std::move(pending));
}

std::optional<SimulatedRecord> Delivery::Take(EventTime until) {
  if (under_way_.empty() || under_way_.front().way.record_time >= until) return std::nullopt;
  std::pop_heap(under_way_.begin(), under_way_.end(), ArrivesLater);
  current_ = std::move(under_way_.back());
  under_way_.pop_back();
  const int32_t partition = PartitionOfKey(current_.key, partition_counts_[size_t(current_.topic)]);
  Count(current_, partition);
  return SimulatedRecord{.topic = current_.topic,
                         .partition = partition,
                         .record_time = current_.way.record_time,
                         .key = current_.key,
                         .value = current_.value};
}

void Delivery::Count(const Pending& pending, int32_t partition) {
  const Way& way = pending.way;
  ++account_.readings;
  ++account_.topics[size_t(pending.topic)];
  account_.held_back += way.fate == Fate::kHeldBack;
  account_.duplicates += pending.second_copy;
  account_.truncated += way.fate == Fate::kTruncated;
  account_.not_json += way.fate == Fate::kNotJson;
  account_.wrong_type += way.fate == Fate::kWrongType;
  if (way.fate >= Fate::kTruncated) return;
  const auto verdict = rule_.Judge(first_partition_[size_t(pending.topic)] + partition,
                                   way.event_time, way.record_time);
  account_.late += verdict == LatenessRule::Verdict::kLate;
  account_.future += verdict == LatenessRule::Verdict::kFuture;
  if (verdict != LatenessRule::Verdict::kCounted) return;
  ++account_.counted;
  account_.nulls += way.is_null;
  account_.first_event_time = std::min(account_.first_event_time, way.event_time);
  account_.last_event_time = std::max(account_.last_event_time, way.event_time);
}

}  // namespace millrace
