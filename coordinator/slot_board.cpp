#include "coordinator/slot_board.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <map>
#include <numeric>

namespace millrace {

SlotBoard::SlotBoard(std::span<const int32_t> offered) : load_(offered.size()) {
  std::map<int32_t, int32_t> numbers;
  for (const int32_t slots : offered) {
    assert(slots >= 1);
    numbers.try_emplace(slots, int32_t(numbers.size()));
    share_.push_back(1.0 / slots);
    class_.push_back(numbers.at(slots));
    offered_ += slots;
  }
  by_load_.resize(numbers.size());
  for (int32_t worker = 0; worker < workers(); ++worker) {
    by_load_[size_t(class_[size_t(worker)])].emplace(0, worker);
  }
}

void SlotBoard::AddJob(std::vector<Slot> slots, bool fixed) {
  Job& job = jobs_.emplace_back();
  job.slots = std::move(slots);
  job.fixed = fixed;
  job.by_load.resize(job.slots.size());
  std::iota(job.by_load.begin(), job.by_load.end(), 0);
  std::ranges::stable_sort(
      job.by_load, {}, [&](size_t i) { return std::pair(job.slots[i].load, job.slots[i].part); });
  job.on_worker.resize(load_.size());
  for (Slot& slot : job.slots) {
    if (slot.home != kNowhere) Put(&job, &slot, slot.home);
  }
}

void SlotBoard::Add(Job* job, int32_t worker, int64_t load, int64_t part) {
  job->on_worker[size_t(worker)] += part;
  job->in_all += part;
  int64_t& now = load_[size_t(worker)];
  ByLoad& order = by_load_[size_t(class_[size_t(worker)])];
  auto entry = order.extract({now, worker});
  now += load;
  load_of_all_ += load;
  entry.value().first = now;
  order.insert(std::move(entry));
}

void SlotBoard::Put(Job* job, Slot* slot, int32_t worker) {
  assert(slot->worker == kNowhere);
  slot->worker = worker;
  Add(job, worker, slot->load, slot->part);
}

void SlotBoard::Take(Job* job, Slot* slot) {
  Add(job, slot->worker, -slot->load, -slot->part);
  slot->worker = kNowhere;
}

double SlotBoard::PriceBeside(const Candidate& beside, const Slot& slot) {
  const int64_t of_load = slot.load * (2 * beside.load + slot.load);
  const int64_t of_spread = kSpread * slot.part * (2 * beside.parts + slot.part);
  return double(of_load + of_spread) * beside.share;
}

double SlotBoard::Relief(const Job& job, const Slot& slot) const {
  const size_t at = size_t(slot.worker);
  return PriceBeside(
      {slot.worker, load_[at] - slot.load, job.on_worker[at] - slot.part, share_[at]}, slot);
}

double SlotBoard::MeanPrice(const Job& job, const Slot& slot) const {
  return 2 * double(slot.load * load_of_all_ + kSpread * slot.part * job.in_all) / double(offered_);
}

// Who has more load and as much of the job costs more, whatever the slot.
std::vector<SlotBoard::Candidate> SlotBoard::Candidates(const Job& job) {
  std::vector<Candidate> candidates;
  for (const ByLoad& order : by_load_) {
    int64_t least = std::numeric_limits<int64_t>::max();
    for (const auto& [load, worker] : order) {
      ++looks_;
      const int64_t parts = job.on_worker[size_t(worker)];
      if (parts >= least) continue;
      candidates.push_back({worker, load, parts, share_[size_t(worker)]});
      least = parts;
      if (least == 0) break;
    }
  }
  return candidates;
}

SlotBoard::Target SlotBoard::CheapestOf(std::span<const Candidate> candidates, const Slot& slot) {
  Target cheapest;
  for (const Candidate& candidate : candidates) {
    const double price = PriceBeside(candidate, slot);
    const bool is_less = cheapest.worker == kNowhere || price < cheapest.price ||
                         (price == cheapest.price && candidate.worker < cheapest.worker);
    if (is_less) cheapest = {candidate.worker, price};
  }
  looks_ += int64_t(candidates.size());
  return cheapest;
}

}  // namespace millrace
