// Slots of several jobs on workers, and what their places cost together. Pure.
// docs/cluster.md, "Assignment".
//
// The cost is a sum over workers w:
//
//   ( load(w)² + kSpread · sum over jobs j of part(j, w)² ) / offered(w)
//
// Its first part is least where load is in proportion to what workers offer, its second where each
// job is spread so by itself: a part is load, but measured in mean slots of the job, so that a job
// that has little to do is spread as well as others. (Load is measured in mean slots of all.)
//
// Where slots weigh the same and workers offer the same, and no move of one slot lowers the cost,
// then no two workers differ by more than one slot, in all and of any job. For of two workers that
// differ by two in all, the fuller one has more slots of some job: to move one of them lowers the
// first part and does not raise the second. And where a job's slots differ by two, to move one
// lowers the second part by 2 · kSpread at least, and raises the first by 4 at most.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <utility>
#include <vector>

namespace millrace {

class SlotBoard {
 public:
  static constexpr int64_t kLoadUnit = 32;  // 1; what is measured is no more exact than that
  static constexpr int64_t kSpread = 3;
  static constexpr int32_t kNowhere = -1;

  struct Slot {
    int64_t load = kLoadUnit;   // in slots of the mean load of all
    int64_t part = kLoadUnit;   // in slots of the mean load of its job
    int32_t home = kNowhere;    // the worker where it was
    int32_t kept = 0;           // of its key groups, how many were there
    int32_t worker = kNowhere;  // where it is
    bool IsAway() const { return worker != home; }
    bool WeighsLike(const Slot& other) const { return load == other.load && part == other.part; }
  };
  struct Job {
    std::vector<Slot> slots;
    bool fixed = false;              // its slots stay where they are
    std::vector<size_t> by_load;     // their indexes, in order of load
    std::vector<int64_t> on_worker;  // its parts, by worker
    int64_t in_all = 0;
  };

  // What each worker offers, at least 1.
  explicit SlotBoard(std::span<const int32_t> offered);
  // Slots that have a home are put there. All jobs come before the first slot is put or taken:
  // pointers to them stay good from then on.
  void AddJob(std::vector<Slot> slots, bool fixed);

  std::vector<Job>& jobs() { return jobs_; }
  const std::vector<Job>& jobs() const { return jobs_; }
  int32_t workers() const { return int32_t(load_.size()); }
  // What a slot costs where a worker has as much as the mean of load and of its job, without what
  // it would cost alone.
  double MeanPrice(const Job& job, const Slot& slot) const;

  void Put(Job* job, Slot* slot, int32_t worker);
  void Take(Job* job, Slot* slot);
  // What the cost would fall by if the slot were not where it is.
  double Relief(const Job& job, const Slot& slot) const;

  // What a worker has, and what it offers.
  struct Candidate {
    int32_t worker = kNowhere;
    int64_t load = 0;
    int64_t parts = 0;  // of a job
    double share = 1;
  };
  struct Target {
    int32_t worker = kNowhere;
    double price = 0;
  };
  // Among these workers is the cheapest one for a slot of the job, whatever it weighs; of those
  // that cost the same, the first. Until the next Put or Take.
  std::vector<Candidate> Candidates(const Job& job);
  Target CheapestOf(std::span<const Candidate> candidates, const Slot& slot);

  // Workers and slots that were looked at so far: a measure of the work, on any machine.
  int64_t looks() const { return looks_; }
  void CountLooks(size_t looks) { looks_ += int64_t(looks); }

 private:
  using ByLoad = std::set<std::pair<int64_t, int32_t>>;

  // What the cost rises by when the slot comes to a worker that has so much.
  static double PriceBeside(const Candidate& beside, const Slot& slot);
  void Add(Job* job, int32_t worker, int64_t load, int64_t part);

  std::vector<double> share_;   // by worker: 1 / offered
  std::vector<int32_t> class_;  // by worker: those that offer the same
  int64_t offered_ = 0;         // by all
  std::vector<int64_t> load_;   // by worker
  int64_t load_of_all_ = 0;
  std::vector<ByLoad> by_load_;  // by class
  std::vector<Job> jobs_;
  int64_t looks_ = 0;
};

}  // namespace millrace
