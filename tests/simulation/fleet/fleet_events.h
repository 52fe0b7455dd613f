// What happened in runs of a fleet.
#pragma once

#include <cstdint>
#include <string>

namespace millrace::simulation {

// Counts what happens in a run, to see that runs cover what they should.
struct FleetEvents {
  int64_t terms = 0;
  int64_t two_led = 0;  // a coordinator began to lead while another thought that it did
  int64_t superseded = 0;
  int64_t killed = 0;
  int64_t frozen = 0;
  int64_t cuts = 0;
  int64_t wishes = 0;
  int64_t attempts = 0;
  int64_t moves = 0;      // attempts that ended as asked
  int64_t given_up = 0;   // jobs
  int64_t named = 0;      // of them: with the reading that did it
  int64_t left = 0;       // workers that were let go
  int64_t dropped = 0;    // workers that did not end an attempt
  int64_t leftovers = 0;  // attempts that workers still had
  int64_t fenced = 0;     // publishing of older attempts that was refused
  int64_t commits = 0;
  int64_t kept = 0;   // attempts with more slots than are offered, as their checkpoint
  int64_t calms = 0;  // times that all was well in the end
  int64_t takeovers = 0;
  double restless = 0;  // the most attempts of a job for a disturbance, of a storm
  double slowest = 0;   // from a leader's claim until all jobs ran again, in seconds
  double hours = 0;

  void Add(const FleetEvents& other);
  std::string Text() const;
};

}  // namespace millrace::simulation
