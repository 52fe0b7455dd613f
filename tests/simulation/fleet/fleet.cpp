#include "tests/simulation/fleet/fleet.h"

#include <algorithm>

#include "tests/simulation/fleet/fleet_operator.h"

namespace millrace::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr auto kLookEvery = seconds(1);
// Until everything is as it is wanted: a pause after failures takes a minute.
constexpr auto kSettleTime = minutes(4);
// Until it is so again after a change in peace.
constexpr auto kMoveTime = seconds(60);
constexpr auto kPeaceLasts = seconds(20);
// Jobs are asked whether they would move twice in it.
constexpr auto kLongPeaceLasts = 2 * ClusterState::kBalanceEvery + minutes(1);
constexpr auto kGlance = milliseconds(100);
// Until somebody leads when the leader is lost: others wait for its lease, by clocks that differ.
constexpr auto kClaimTime = seconds(15);
// From its claim until all jobs run again.
constexpr auto kTakeOverTime = seconds(30);
// Of a job, for a disturbance of the fleet.
constexpr double kAttemptsMax = 1.5;

class Fleet {
 public:
  explicit Fleet(const FleetOptions& options)
      : world_(options.seed, options.bug, options.trace),
        network_(&world_),
        store_(&world_),
        time_(options.time) {
    fleet_.world = &world_;
    fleet_.network = &network_;
    fleet_.store = &store_;
    fleet_.jobs = &jobs_;
    fleet_.events = &events_;
    Configure();
  }
  ~Fleet() {
    workers_.clear();
    coordinators_.clear();
  }

  FleetReport Run() {
    for (const std::string& name : fleet_.coordinators) StartCoordinator(name);
    for (const auto& [name, wanted] : wanted_workers_) {
      if (wanted) StartWorker(name);
    }
    Look();
    const MonotonicTime end = world_.now + time_;
    while (!failed() && world_.now < end) {
      Storm();
      Peace();
    }
    FleetReport report;
    report.failure = world_.failure();
    events_.hours = std::chrono::duration<double, std::ratio<3600>>(world_.now).count();
    for (const auto& [name, job] : jobs_) events_.fenced += job->refused();
    report.events = events_;
    report.trace = world_.TakeTrace();
    return report;
  }

 private:
  bool failed() const { return world_.failure().has_value(); }

  // The seed's circumstances.
  void Configure() {
    Random& random = world_.random;
    const int64_t coordinators = 1 + random.Below(3), workers = 2 + random.Below(5);
    for (int64_t i = 0; i < coordinators; ++i) {
      fleet_.coordinators.push_back("c" + std::to_string(i));
    }
    for (int64_t i = 0; i < workers; ++i) {
      const std::string name = "w" + std::to_string(i);
      wanted_workers_[name] = i == 0 || random.Chance(800);
      slots_[name] = int32_t(1 + random.Below(3));
    }
    const int64_t jobs = 1 + random.Below(4);
    std::vector<std::string> names;
    for (int64_t i = 0; i < jobs; ++i) {
      const std::string name(1, char('a' + i));
      // Some jobs end.
      const int64_t rows = random.Chance(200) ? 50 + random.Below(500) : 0;
      jobs_[name] = std::make_unique<FleetJob>(&world_, name, rows);
      names.push_back(name);
    }
    operator_ = std::make_unique<FleetOperator>(&fleet_, names);
    clocks_ = random.Chance(500) ? 0.0 : 0.2;
    fault_wait_ = seconds(2 + random.Below(20));
  }

  // ---- processes
  double Rate() { return 1.0 + clocks_ * (double(world_.random.Below(2001)) / 1000 - 1.0); }

  void StartCoordinator(const std::string& name) {
    if (coordinators_.contains(name)) return;
    const double impatience = world_.random.Chance(150) && storm_ ? 10.0 : 1.0;
    coordinators_[name] = std::make_unique<FleetCoordinator>(&fleet_, operator_.get(), name,
                                                             ++lives_[name], Rate(), impatience);
  }
  void StartWorker(const std::string& name) {
    if (workers_.contains(name) || !wanted_workers_.at(name)) return;
    workers_[name] =
        std::make_unique<FleetWorker>(&fleet_, name, ++lives_[name], Rate(), slots_.at(name));
  }
  void StartSoon(const std::string& name) {
    const bool calm = !storm_;
    const MonotonicTime wait = world_.Between(milliseconds(300), calm ? seconds(2) : seconds(20));
    world_.After(wait, [this, name] {
      if (wanted_workers_.contains(name)) {
        StartWorker(name);
      } else {
        StartCoordinator(name);
      }
    });
  }
  // Processes that have ended by themselves are removed, and started again.
  void Reap() {
    if (world_.exits == reaped_) return;
    reaped_ = world_.exits;
    const auto reap = [this](auto* processes) {
      std::vector<std::string> gone;
      for (const auto& [name, process] : *processes) {
        if (process->exited()) gone.push_back(name);
      }
      for (const std::string& name : gone) {
        processes->erase(name);
        StartSoon(name);
      }
    };
    reap(&workers_);
    reap(&coordinators_);
  }

  bool RunUntil(MonotonicTime end) {
    while (!failed() && world_.Step(end)) Reap();
    return !failed();
  }

  // Awake and leading, or thinking so.
  std::vector<FleetCoordinator*> Leading() {
    std::vector<FleetCoordinator*> leading;
    for (const auto& [name, coordinator] : coordinators_) {
      if (coordinator->leads() && !coordinator->frozen() && !coordinator->exited()) {
        leading.push_back(coordinator.get());
      }
    }
    return leading;
  }
  template <typename Processes>
  typename Processes::mapped_type::element_type* Any(const Processes& processes) {
    if (processes.empty()) return nullptr;
    auto found = processes.begin();
    std::advance(found, world_.random.Below(int64_t(processes.size())));
    return found->second.get();
  }
  std::string AnyName() {
    const int64_t all = int64_t(fleet_.coordinators.size() + wanted_workers_.size());
    const int64_t at = world_.random.Below(all);
    if (at < int64_t(fleet_.coordinators.size())) return fleet_.coordinators[size_t(at)];
    auto found = wanted_workers_.begin();
    std::advance(found, at - int64_t(fleet_.coordinators.size()));
    return found->first;
  }

  // ---- faults
  void Storm() {
    storm_ = true;
    fleet_.calm = false;
    const int64_t attempts = Attempts();
    disturbances_ = 0;
    const MonotonicTime lasts =
        world_.Between(minutes(1), std::min<MonotonicTime>(minutes(15), time_));
    world_.Trace("---- a storm");
    const int storm = ++storms_;
    Disturb(storm);
    Wish(storm);
    RunUntil(world_.now + lasts);
    storm_ = false;
    attempts_before_ = attempts;
  }

  void Disturb(int storm) {
    if (!storm_ || storm != storms_ || failed()) return;
    ++disturbances_;
    DisturbOnce();
    world_.After(world_.Between(milliseconds(100), 2 * fault_wait_),
                 [this, storm] { Disturb(storm); });
  }
  void Wish(int storm) {
    if (!storm_ || storm != storms_ || failed()) return;
    const std::vector<FleetCoordinator*> leading = Leading();
    if (!leading.empty()) {
      ++disturbances_;
      operator_->AskAny(leading[size_t(world_.random.Below(int64_t(leading.size())))]);
      Reap();
    }
    world_.After(world_.Between(milliseconds(100), 2 * fault_wait_),
                 [this, storm] { Wish(storm); });
  }

  void DisturbOnce() {
    Random& random = world_.random;
    const int64_t what = random.Below(100);
    if (what < 14) return Kill(&workers_);
    if (what < 20) return Kill(&coordinators_);
    if (what < 30) return Freeze(Any(workers_));
    if (what < 38) return Freeze(Any(coordinators_));
    if (what < 60) return Cut();
    if (what < 70) return Scale();
    if (what < 76) return FailTask();
    if (what < 79) return Poison();
    if (what < 82) return For(&world_.broker_away, minutes(1));
    if (what < 85) return For(&world_.slow_ends, minutes(3));
    if (what < 90) return For(&world_.slow_storage, minutes(3));
    if (what < 92) {
      if (FleetCoordinator* const coordinator = Any(coordinators_)) coordinator->BreakStorage();
      return;
    }
    // Somebody ends many at once.
    for (int64_t i = random.Below(4); i >= 0; --i) Kill(&workers_);
  }

  template <typename Processes>
  void Kill(Processes* processes) {
    auto* const process = Any(*processes);
    if (process == nullptr) return;
    const std::string name = process->name();
    world_.Trace(process->incarnation() + " is killed");
    ++events_.killed;
    processes->erase(name);
    StartSoon(name);
  }

  void Freeze(NetworkNode* process) {
    if (process == nullptr || process->frozen()) return;
    ++events_.frozen;
    const bool long_one = world_.random.Chance(300);
    Freeze(process, world_.Between(milliseconds(100), long_one ? seconds(60) : seconds(6)));
  }
  void Freeze(NetworkNode* process, MonotonicTime lasts) {
    const std::string& incarnation = process->incarnation();
    world_.Trace(incarnation + " freezes");
    process->Freeze();
    const int64_t nap = naps_[incarnation] = ++last_nap_;
    world_.After(lasts, [this, incarnation, nap] {
      if (naps_[incarnation] == nap) Wake(incarnation);
    });
  }
  void Wake(const std::string& incarnation) {
    const auto wake = [&](const auto& processes) {
      for (const auto& [name, process] : processes) {
        if (process->incarnation() != incarnation || !process->frozen()) continue;
        process->Wake();
        network_.OnWake(process.get());
      }
    };
    wake(workers_);
    wake(coordinators_);
  }

  void Cut() {
    Random& random = world_.random;
    ++events_.cuts;
    const MonotonicTime until =
        world_.now +
        world_.Between(milliseconds(200), random.Chance(300) ? seconds(90) : seconds(6));
    const std::string one = AnyName();
    std::vector<std::string> others = {AnyName()};
    if (random.Chance(250)) {  // from everybody
      others = fleet_.coordinators;
      for (const auto& [name, wanted] : wanted_workers_) others.push_back(name);
    }
    const bool out = random.Chance(700), in = !out || random.Chance(600);
    world_.Trace(one + " is cut off from " + (others.size() > 1 ? "all" : others.front()) +
                 (out && in ? ""
                  : out     ? ", sending"
                            : ", hearing"));
    for (const std::string& other : others) {
      if (other == one) continue;
      if (out) network_.Cut(one, other, until);
      if (in) network_.Cut(other, one, until);
    }
  }

  // A worker more, or one less, which leaves in an orderly way.
  void Scale() {
    auto found = wanted_workers_.begin();
    std::advance(found, world_.random.Below(int64_t(wanted_workers_.size())));
    const auto wanted =
        std::ranges::count_if(wanted_workers_, [](const auto& of) { return of.second; });
    if (!found->second) {
      found->second = true;
      return StartSoon(found->first);
    }
    // Some come back at once, as in an upgrade.
    if (wanted > 1 && world_.random.Chance(500)) found->second = false;
    const auto process = workers_.find(found->first);
    if (process != workers_.end() && !process->second->leaving()) process->second->RequestLeave();
  }

  void FailTask() {
    FleetWorker* const worker = Any(workers_);
    if (worker == nullptr || worker->frozen()) return;
    worker->FailTask(ExternalError("broker_unreachable", "no broker", Retry::kYes));
  }

  void Poison() {
    FleetJob* const job = Any(jobs_);
    if (job->poison.has_value()) return;
    FleetPoison poison;
    poison.group = int(world_.random.Below(kGroups));
    poison.row = job->newest().rows[size_t(poison.group)] + world_.random.Below(20);
    poison.ends_process = world_.random.Chance(300);
    world_.Trace("job " + job->name() + " is poisoned: " + poison.Text());
    job->poison = poison;
    world_.After(world_.Between(seconds(10), minutes(2)), [job] { job->poison.reset(); });
  }

  void For(bool* circumstance, MonotonicTime most) {
    if (std::exchange(*circumstance, true)) return;
    world_.After(world_.Between(seconds(1), most), [circumstance] { *circumstance = false; });
  }

  // ---- peace
  void Peace() {
    if (failed()) return;
    world_.Trace("---- peace");
    network_.Heal();
    for (const auto& [name, job] : jobs_) job->poison.reset();
    world_.broker_away = world_.slow_ends = world_.slow_storage = false;
    for (const auto& [name, coordinator] : coordinators_) {
      coordinator->MendStorage();
      coordinator->BePatient();
    }
    const auto wake = [this](const auto& processes) {
      std::vector<std::string> frozen;
      for (const auto& [name, process] : processes) {
        if (process->frozen()) frozen.push_back(process->incarnation());
      }
      for (const std::string& incarnation : frozen) Wake(incarnation);
    };
    wake(workers_);
    wake(coordinators_);
    if (!Settle(kSettleTime, /*resume=*/true)) return;
    ++events_.calms;
    CheckAttempts();
    fleet_.calm = true;
    if (!Move()) return;
    const bool long_one = world_.random.Chance(150);
    if (long_one && !LoseWorker()) return;
    const int64_t attempts = Attempts(), commits = events_.commits;
    if (!RunUntil(world_.now + (long_one ? kLongPeaceLasts : kPeaceLasts))) return;
    if (Attempts() != attempts) world_.Fail("attempts come and go although nothing is wrong");
    const FleetCoordinator* const leader = Leader();
    const bool any =
        leader != nullptr && std::ranges::any_of(leader->state().jobs(), [](const auto& of) {
          return of.second.phase == JobPhase::kRunning;
        });
    if (any && events_.commits == commits) world_.Fail("no checkpoint is completed");
    fleet_.calm = false;
  }

  // A disturbance costs some attempts, but it does not go on by itself.
  void CheckAttempts() {
    const double each =
        double(Attempts() - attempts_before_) / double(int64_t(jobs_.size()) * (disturbances_ + 5));
    events_.restless = std::max(events_.restless, each);
    if (each > kAttemptsMax) {
      world_.Fail(std::to_string(Attempts() - attempts_before_) + " attempts of " +
                  std::to_string(jobs_.size()) + " jobs for " + std::to_string(disturbances_) +
                  " disturbances");
    }
  }

  // In peace nothing fails, whatever is moved.
  bool Move() {
    ForJobs(JobPhase::kRunning, [this](FleetCoordinator* leader, const ClusterState::Job& job) {
      operator_->Rescale(leader, job.record.name(), job.record.parallelism() == 2 ? 3 : 2);
    });
    if (!Settle(kMoveTime)) return false;
    ForJobs(JobPhase::kRunning, [this](FleetCoordinator* leader, const ClusterState::Job& job) {
      operator_->SetDesire(leader, job.record.name(), proto::JOB_PAUSED);
    });
    if (!RunUntil(world_.now + milliseconds(world_.random.Below(4000)))) return false;
    for (const JobPhase phase : {JobPhase::kStopping, JobPhase::kEnding, JobPhase::kPaused}) {
      ForJobs(phase, [this](FleetCoordinator* leader, const ClusterState::Job& job) {
        operator_->SetDesire(leader, job.record.name(), proto::JOB_RUNNING);
      });
    }
    if (!Settle(kMoveTime)) return false;
    // What is offered decides from here on.
    ForJobs(JobPhase::kRunning, [this](FleetCoordinator* leader, const ClusterState::Job& job) {
      operator_->Rescale(leader, job.record.name(), 0);
    });
    if (!Settle(kMoveTime)) return false;
    Scale();
    return RunUntil(world_.now + seconds(3)) && Settle(kMoveTime) && TakeOver();
  }

  // A worker is lost, and does not come back: jobs keep their slots without it, and stay calm.
  bool LoseWorker() {
    if (workers_.size() < 2) return true;
    fleet_.calm = false;
    const std::string name = Any(workers_)->name();
    world_.Trace("worker " + name + " is lost for good");
    workers_.erase(name);
    wanted_workers_[name] = false;
    if (!Settle(kSettleTime)) return false;
    fleet_.calm = true;
    return true;
  }

  // The leader is lost: what ran runs again soon.
  bool TakeOver() {
    FleetCoordinator* const lost = Leader();
    if (lost == nullptr) return Wrong("nobody leads although nothing is wrong");
    std::set<std::string> missing;
    for (const auto& [name, job] : lost->state().jobs()) {
      if (job.phase == JobPhase::kRunning) missing.insert(name);
    }
    const int64_t term = lost->term();
    const MonotonicTime back = Lose(lost);
    const auto successor = [this, term]() -> FleetCoordinator* {
      FleetCoordinator* const leader = Leader();
      return leader != nullptr && leader->term() > term ? leader : nullptr;
    };
    const MonotonicTime latest = world_.now + kClaimTime;
    while (successor() == nullptr) {
      if (world_.now >= latest) return Wrong("nobody leads although the leader is lost");
      if (!RunUntil(world_.now + kGlance)) return false;
    }
    const MonotonicTime claimed = world_.now;
    while (true) {
      const FleetCoordinator* const leader = successor();
      if (leader == nullptr) return Wrong("nobody leads any more although nothing is wrong");
      std::erase_if(missing, [leader](const std::string& name) {
        const JobPhase phase = leader->state().jobs().at(name).phase;
        return phase == JobPhase::kRunning || phase == JobPhase::kFinished;
      });
      if (missing.empty()) break;
      if (world_.now - claimed >= kTakeOverTime) {
        return Wrong("job " + *missing.begin() + " does not run again under another leader");
      }
      if (!RunUntil(world_.now + kGlance)) return false;
    }
    ++events_.takeovers;
    events_.slowest =
        std::max(events_.slowest, std::chrono::duration<double>(world_.now - claimed).count());
    if (!RunUntil(std::max(back, world_.now)) || !Settle(kMoveTime)) return false;
    fleet_.calm = true;
    return true;
  }

  // When it is back, if it is only asleep.
  MonotonicTime Lose(FleetCoordinator* leader) {
    if (coordinators_.size() == 1 || world_.random.Chance(500)) {
      world_.Trace(leader->incarnation() + " is killed");
      const std::string name = leader->name();
      coordinators_.erase(name);
      StartSoon(name);
      return world_.now;
    }
    // It wakes beside its successor, and what it leads fails then.
    fleet_.calm = false;
    const MonotonicTime lasts = world_.Between(kClaimTime, 2 * kClaimTime);
    Freeze(leader, lasts);
    return world_.now + lasts + seconds(3);
  }

  bool Wrong(const std::string& what) {
    world_.Fail(what);
    return false;
  }

  void ForJobs(JobPhase phase,
               const std::function<void(FleetCoordinator*, const ClusterState::Job&)>& what) {
    for (const auto& [name, job] : jobs_) {
      FleetCoordinator* const leader = Leader();
      if (leader == nullptr) return world_.Fail("nobody leads although nothing is wrong");
      const auto known = leader->state().jobs().find(name);
      if (known != leader->state().jobs().end() && known->second.phase == phase) {
        what(leader, known->second);
      }
    }
  }

  FleetCoordinator* Leader() {
    for (FleetCoordinator* const coordinator : Leading()) {
      if (coordinator->term() == store_.cluster_log.term()) return coordinator;
    }
    return nullptr;
  }

  // Until all is as it is wanted.
  bool Settle(MonotonicTime within, bool resume = false) {
    const MonotonicTime end = world_.now + within;
    std::string why = "not looked at";
    std::set<std::string> resumed;
    while (world_.now < end) {
      if (!RunUntil(world_.now + milliseconds(500))) return false;
      FleetCoordinator* const leader = Leader();
      if (resume && leader != nullptr) {
        for (const auto& [name, job] : jobs_) {
          const auto known = leader->state().jobs().find(name);
          if (known == leader->state().jobs().end()) {
            operator_->Apply(leader, name);
          } else if (known->second.phase == JobPhase::kFailed && resumed.insert(name).second) {
            operator_->SetDesire(leader, name, proto::JOB_RUNNING);
          }
        }
        Reap();
      }
      why = Unsettled();
      if (why.empty()) return true;
    }
    world_.Fail("it does not come to rest: " + why);
    return false;
  }

  // Empty: all is as it is wanted.
  std::string Unsettled() {
    for (const auto& [name, coordinator] : coordinators_) {
      if (coordinator->claims()) return "coordinator " + name + " is about to lead";
    }
    const std::vector<FleetCoordinator*> leading = Leading();
    if (leading.size() != 1) return std::to_string(leading.size()) + " coordinators lead";
    FleetCoordinator& leader = *leading.front();
    if (leader.term() != store_.cluster_log.term()) return "an older term leads";
    if (const auto forgotten = operator_->Forgotten(leader.state().ToCatalog())) return *forgotten;
    for (const auto& [name, wanted] : wanted_workers_) {
      const auto process = workers_.find(name);
      if (process == workers_.end()) {
        if (wanted) return "worker " + name + " is not there";
        if (leader.state().workers().contains(name)) return "worker " + name + " has not left";
        continue;
      }
      if (process->second->leaving()) return "worker " + name + " is not let go";
      const auto known = leader.state().workers().find(name);
      if (known == leader.state().workers().end() ||
          known->second.incarnation != process->second->incarnation()) {
        return "worker " + name + " is not known";
      }
    }
    std::set<std::string> expected;
    for (const auto& [name, job] : leader.state().jobs()) {
      if (const std::string why = Unsettled(leader, job); !why.empty()) {
        return "job " + name + " is " + std::string(JobPhaseName(job.phase)) + " (" + job.why +
               "): " + why;
      }
      if (job.phase != JobPhase::kRunning) continue;
      for (const auto& [worker, info] : job.workers) {
        expected.insert(worker + " " + name + "/" + std::to_string(job.attempt));
      }
    }
    for (const auto& [name, worker] : workers_) {
      for (const AttemptOnWorker& has : worker->Attempts()) {
        const std::string what = name + " " + has.job + "/" + std::to_string(has.attempt);
        if (expected.erase(what) == 0) return "there is left over: " + what;
      }
    }
    return expected.empty() ? "" : "there is missing: " + *expected.begin();
  }

  std::string Unsettled(const FleetCoordinator& leader, const ClusterState::Job& job) {
    const std::string& name = job.record.name();
    switch (job.phase) {
      case JobPhase::kRunning: {
        if (job.version != job.record.version()) return "it is not as it is wanted now";
        if (job.record.desire() != proto::JOB_RUNNING) return "it is to stop";
        std::vector<WorkerInfo> workers;
        for (const auto& [of, info] : leader.state().workers()) workers.push_back(info);
        const FleetAttempt* const attempt = leader.AttemptOf(name);
        if (attempt == nullptr) return "nobody leads it";
        const int32_t wanted = job.record.parallelism() > 0
                                   ? job.record.parallelism()
                                   : FleetJobFile::Read(job.record.file()).parallelism;
        return PlaceFleetSlots(wanted, attempt->kept(), workers) == attempt->slots()
                   ? ""
                   : "it is placed otherwise";
      }
      case JobPhase::kPaused:
        return job.record.desire() == proto::JOB_PAUSED ? "" : "it is to run";
      case JobPhase::kCanceled:
        return job.record.desire() == proto::JOB_CANCELED ? "" : "it is to run";
      case JobPhase::kFinished: {
        const FleetJob& truth = *jobs_.at(name);
        const bool all = std::ranges::all_of(truth.published(),
                                             [&](int64_t rows) { return rows == truth.Limit(); });
        if (!all) world_.Fail("job " + name + " has finished, but rows are not published");
        return "";
      }
      default:
        return "it goes on";
    }
  }

  // ---- looked at all the time
  void Look() {
    world_.After(kLookEvery, [this] { Look(); });
    for (const auto& [name, job] : jobs_) {
      std::map<int, std::string> owners;
      for (const auto& [of, worker] : workers_) {
        for (const int group : worker->Owned(name, job->log.term())) {
          const auto [owner, is_first] = owners.emplace(group, of);
          if (!is_first) {
            world_.Fail("key group " + std::to_string(group) + " of job " + name + " is owned by " +
                        owner->second + " and by " + of);
          }
        }
      }
    }
    const auto leading = int64_t(Leading().size());
    if (leading > 1 && last_leading_ <= 1) ++events_.two_led;
    last_leading_ = leading;
  }

  int64_t Attempts() const {
    int64_t attempts = 0;
    for (const auto& [name, job] : jobs_) attempts += job->attempts();
    return attempts;
  }

  FleetWorld world_;
  Network network_;
  FleetStore store_;
  FleetSurroundings fleet_;
  FleetEvents events_;
  const MonotonicTime time_;
  std::map<std::string, std::unique_ptr<FleetJob>> jobs_;
  std::unique_ptr<FleetOperator> operator_;
  std::map<std::string, std::unique_ptr<FleetCoordinator>> coordinators_;
  std::map<std::string, std::unique_ptr<FleetWorker>> workers_;
  std::map<std::string, bool> wanted_workers_;
  std::map<std::string, int32_t> slots_;
  std::map<std::string, int> lives_;
  double clocks_ = 0;  // how much faster or slower clocks may go
  MonotonicTime fault_wait_{0};
  bool storm_ = false;
  int storms_ = 0;
  int64_t disturbances_ = 0;
  int64_t attempts_before_ = 0;  // the storm
  int64_t reaped_ = 0;
  int64_t last_leading_ = 0;
  int64_t last_nap_ = 0;
  std::map<std::string, int64_t> naps_;  // by incarnation: its last
};

}  // namespace

FleetReport SimulateFleet(const FleetOptions& options) { return Fleet(options).Run(); }

}  // namespace millrace::simulation
