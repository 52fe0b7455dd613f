// What it takes to assign the largest cluster: 1,000 workers, 100 jobs of 100 slots. Looks are the
// measure that tests bound (assignment_random_test.cpp).
#include <benchmark/benchmark.h>

#include "coordinator/assignment_testing.h"

namespace millrace {
namespace {

using test::FleetShape;
using test::RandomFleet;

RandomFleet Largest(bool measured) {
  RandomFleet fleet(FleetShape{.workers = 1000, .jobs = 100, .uneven = true, .measured = false},
                    /*seed=*/1);
  for (JobDemand& job : fleet.jobs) {
    job.wanted = job.partitions = 100;
    for (int32_t slot = 0; measured && slot < 100; ++slot) {
      job.cores.push_back(std::pow(10, fleet.Between(-2, 0.5)));
    }
  }
  return fleet;
}

void Run(const RandomFleet& fleet, benchmark::State* state) {
  int64_t looks = 0;
  for (auto _ : *state) looks = Assign(fleet.workers, fleet.jobs).looks;
  state->counters["looks"] = double(looks);
}

void BM_FromNothing(benchmark::State& state) { Run(Largest(state.range(0) != 0), &state); }

void BM_NothingToDo(benchmark::State& state) {
  RandomFleet fleet = Largest(state.range(0) != 0);
  fleet.Apply();
  Run(fleet, &state);
}

void BM_HalfTheWorkersGo(benchmark::State& state) {
  RandomFleet fleet = Largest(state.range(0) != 0);
  fleet.Apply();
  for (int i = 0; i < 500; ++i) fleet.LoseWorker();
  Run(fleet, &state);
}

// All from 10 workers onto 1,000.
void BM_WorkersCome(benchmark::State& state) {
  RandomFleet fleet = Largest(state.range(0) != 0);
  const std::vector<WorkerCapacity> all = fleet.workers;
  fleet.workers.resize(10);
  fleet.Apply();
  fleet.workers = all;
  Run(fleet, &state);
}

void BM_LoadsChange(benchmark::State& state) {
  RandomFleet fleet = Largest(/*measured=*/true);
  fleet.Apply();
  fleet.Disturb(0.5);
  Run(fleet, &state);
}

BENCHMARK(BM_FromNothing)->ArgName("measured")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_NothingToDo)->ArgName("measured")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_HalfTheWorkersGo)->ArgName("measured")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_WorkersCome)->ArgName("measured")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_LoadsChange)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace millrace

BENCHMARK_MAIN();
