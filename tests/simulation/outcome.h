// What a run leaves behind, compared with a run without a fault.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "tests/simulation/process.h"

namespace millrace::simulation {

struct Outcome {
  std::map<std::string, std::multiset<std::string>> rows;  // by topic; final files: "files"
  proto::AccountCounts account;
};

// Of a job that has ended; "" where it is as it should be, else what is wrong with the account or
// what was left behind.
Outcome OutcomeOf(const Universe& universe, std::string* wrong);

// The first difference, for people; "": none.
std::string Difference(const Outcome& expected, const Outcome& found);

}  // namespace millrace::simulation
