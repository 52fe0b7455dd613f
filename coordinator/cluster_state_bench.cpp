// What the largest fleet costs its coordinator while nothing happens: 1,000 workers that beat twice
// a second, 100 jobs of 100 slots, so 10 slots of 10 jobs a worker. An iteration is a simulated
// second: beats (the first of each worker names its peers) are decoded from their bytes and taken
// as ClusterCoordinator takes them, and time passes in steps of a twentieth. `of_a_core`: CPU
// seconds a simulated second. Five minutes in, each job is asked whether it would move.
#include <benchmark/benchmark.h>

#include <ctime>

#include "coordinator/cluster_state.h"
#include "coordinator/job_placements.h"

namespace millrace {
namespace {

constexpr int kWorkers = 1000;
constexpr int kJobs = 100;
constexpr int kSlots = 100;  // a job
constexpr int kBeats = 2;    // a second
constexpr int kTurns = 20;   // a second

double ThreadSeconds() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
}

// What is asked of it is done at once.
class PlacingHost final : public ClusterHost {
 public:
  void Prepare(const proto::JobRecord& job, const std::vector<WorkerInfo>&) override {
    preparing.push_back(job.name());
  }
  void AbandonPreparation(const std::string&) override { ++unexpected; }
  void Deploy(const std::string& job, int64_t attempt, const WorkerInfo& worker) override {
    deploying.push_back({job, attempt, worker.name});
  }
  void Launch(const std::string&, int64_t) override {}
  void RequestStop(const std::string&, int64_t) override { ++unexpected; }
  void EndLeading(const std::string&) override { ++unexpected; }
  void EndOnWorker(const std::string&, int64_t, const WorkerInfo&) override { ++unexpected; }
  bool WouldMove(const std::string& job, const std::vector<WorkerInfo>& workers) override {
    return placements.WouldMove(job, workers, state->jobs());
  }
  void MayLeave(const WorkerInfo&) override {}
  void Drop(const WorkerInfo&) override { ++unexpected; }
  Status Persist() override { return Status::OK(); }
  void OnPhase(const std::string&, JobPhase, const std::string&) override {}
  void OnIllegalTransition(const std::string&, JobPhase, JobPhase) override { ++unexpected; }

  struct Deployment {
    std::string job;
    int64_t attempt;
    std::string worker;
  };
  ClusterState* state = nullptr;
  JobPlacements placements;
  std::vector<std::string> preparing;
  std::vector<Deployment> deploying;
  int64_t unexpected = 0;  // an attempt that ends
};

class Fleet {
 public:
  Fleet() : state_(proto::Catalog(), now_) {
    host_.state = &state_;
    for (int i = 0; i < kWorkers; ++i) {
      WorkerInfo worker;
      worker.name = "worker-" + std::to_string(i);
      worker.session = uint64_t(i) + 1;
      worker.slots = kJobs * kSlots / kWorkers;
      workers_.push_back(worker);
      state_.OnWorker(worker, now_, &host_);
    }
    for (int i = 0; i < kJobs; ++i) Begin("job-" + std::to_string(i));
  }

  bool AllRun() const {
    return host_.unexpected == 0 && std::ranges::all_of(state_.jobs(), [](const auto& entry) {
             return entry.second.phase == JobPhase::kRunning;
           });
  }

  // Of the time until now; outside of what is measured.
  std::vector<std::string> Beats() {
    cpu_micros_ += 1'000'000 / kBeats / 10;
    std::vector<std::string> bytes;
    for (size_t i = 0; i < workers_.size(); ++i) {
      proto::Beat beat;
      if (!has_beaten_) {  // a session has begun
        for (size_t peer = 0; peer < workers_.size(); ++peer) {
          if (peer != i) beat.add_peers(workers_[peer].name);
        }
      }
      for (const auto& [job, slots] : slots_of_[i]) {
        proto::AttemptLoad* const load = beat.add_attempts();
        load->set_job(job);
        load->set_attempt(1);
        for (const int32_t slot : slots) {
          proto::SlotLoad* const one = load->add_slots();
          one->set_slot(slot);
          one->set_cpu_micros(cpu_micros_);
        }
        for (const char* name : {"readings", "windows"}) load->add_streams()->set_name(name);
        load->add_sinks()->set_name("kafka");
      }
      bytes.push_back(beat.SerializeAsString());
    }
    has_beaten_ = true;
    return bytes;
  }

  void Take(size_t worker, const std::string& bytes) {
    proto::Beat beat;
    if (!beat.ParseFromString(bytes)) std::abort();
    std::vector<AttemptOnWorker> attempts;
    for (const proto::AttemptLoad& load : beat.attempts()) {
      host_.placements.TakeLoad(load, now_);
      attempts.push_back({load.job(), load.attempt()});
    }
    if (beat.peers_size() > 0) {
      const std::set<std::string> peers(beat.peers().begin(), beat.peers().end());
      state_.OnPeers(workers_[worker].name, peers, now_);
    }
    state_.OnAttemptsOf(workers_[worker].name, workers_[worker].session, attempts, &host_);
  }

  void Pass(MonotonicTime time) {
    now_ += time;
    host_.placements.BeginTurn();
    state_.OnTick(now_, &host_);
  }

 private:
  void Begin(const std::string& name) {
    if (!state_.Apply(name, name + ".yaml", "file", 1, now_, &host_).ok()) std::abort();
    std::vector<std::string> preparing = std::exchange(host_.preparing, {});
    if (preparing != std::vector<std::string>{name}) std::abort();
    const JobPlacement& placement =
        host_.placements.Place(name, 1, kSlots, kSlots, workers_, state_.jobs());
    std::map<std::string, std::vector<int32_t>> slots;
    for (int32_t slot = 0; slot < int32_t(placement.slots.size()); ++slot) {
      slots[placement.slots[size_t(slot)]].push_back(slot);
    }
    PreparedAttempt prepared;
    prepared.attempt = 1;
    for (size_t i = 0; i < workers_.size(); ++i) {
      const auto of = slots.find(workers_[i].name);
      if (of == slots.end()) continue;
      slots_of_[i][name] = of->second;
      prepared.workers.push_back(workers_[i]);
    }
    state_.OnPrepared(name, std::move(prepared), now_, &host_);
    for (const auto& [job, attempt, worker] : std::exchange(host_.deploying, {})) {
      state_.OnDeployed(job, attempt, worker, Status::OK(), now_, &host_);
    }
  }

  MonotonicTime now_ = std::chrono::seconds(1000);
  PlacingHost host_;
  ClusterState state_;
  std::vector<WorkerInfo> workers_;
  std::map<size_t, std::map<std::string, std::vector<int32_t>>> slots_of_;  // by worker, job
  int64_t cpu_micros_ = 0;
  bool has_beaten_ = false;
};

void BM_SecondOfAQuietFleet(benchmark::State& state) {
  Fleet fleet;
  double longest = 0;
  double spent = 0;
  const auto timed = [&](auto&& work) {
    const double begin = ThreadSeconds();
    work();
    const double took = ThreadSeconds() - begin;
    spent += took;
    return took;
  };
  for (auto _ : state) {
    const double before = spent;
    for (int turn = 0; turn < kTurns; ++turn) {
      if (turn % (kTurns / kBeats) == 0) {
        const std::vector<std::string> beats = fleet.Beats();
        timed([&] {
          for (size_t worker = 0; worker < beats.size(); ++worker)
            fleet.Take(worker, beats[worker]);
        });
      }
      longest = std::max(
          longest, timed([&] { fleet.Pass(MonotonicTime(std::chrono::seconds(1)) / kTurns); }));
    }
    state.SetIterationTime(spent - before);
  }
  if (!fleet.AllRun()) state.SkipWithError("a job does not run");
  state.counters["of_a_core"] = spent / double(state.iterations());
  state.counters["longest_turn"] = longest;
}
BENCHMARK(BM_SecondOfAQuietFleet)->Iterations(310)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace millrace

BENCHMARK_MAIN();
