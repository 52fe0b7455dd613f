// How a savepoint is asked for from another process: a file in the job's state folder, answered
// there by the process that runs the job. Who may write to the folder may ask; no port is open for
// it. (A cluster's coordinator has an API of its own.)
//
//   requests/<name>.wanted    made by who asks
//   requests/<name>.answer    "ok", or why not; removed by who asked
#pragma once

#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/env/clock.h"

namespace millrace {

// `folder`: <state folder>/<job>/requests. Waits for the answer: what it says, or "no_answer"
// (retry) after `timeout`.
Status AskForSavepoint(const std::string& folder, const std::string& name, const Clock& clock,
                       Micros timeout);

// The names that are wanted now; each is given once. Cheap where there are none.
std::vector<std::string> TakeSavepointRequests(const std::string& folder);
Status AnswerSavepointRequest(const std::string& folder, const std::string& name,
                              const Status& status);

}  // namespace millrace
