// Asking again until something is so: polls that send no answer twice, pauses that grow,
// coordinators that are away for a while.
#pragma once

#include <functional>
#include <string>

#include "engine/base/status.h"
#include "engine/base/time.h"
#include "proto/admin.pb.h"
#include "tools/millrace/cluster/api_client.h"
#include "tools/millrace/cluster/job_goal.h"

namespace millrace {

inline constexpr Micros kPollEvery = std::chrono::seconds(1);

// Tells once that the coordinator is away, and once that it is back.
class Absence {
 public:
  // What of a poll that failed is to be told now, and whether to go on: false where asking again
  // cannot help.
  bool GoOnAfter(const Status& failure);
  void OnAnswer();

 private:
  bool away_ = false;
};

// Polls one resource until the process is ended or output fails: `show` gets the message whenever
// the coordinator says that it is another one. A first request that fails is an error; later ones
// are told and tried again where that may help.
Status Watch(ApiClient* api, const std::string& path, google::protobuf::Message* message,
             const std::function<Status()>& show);

// Asks at once and then after pauses that grow to a second, until `done` says so of the message, at
// most for `timeout`. Whatever fails is tried again where that may help, and told. External error
// "timeout": with what `so_far` says of the last message.
Status PollUntil(ApiClient* api, const std::string& path, google::protobuf::Message* message,
                 Micros timeout, const std::function<Result<bool>()>& done,
                 const std::function<std::string()>& so_far);

// External error "hopeless": the job has ended in another way.
Result<proto::JobStatus> WaitForJob(ApiClient* api, const std::string& job, const JobGoal& goal,
                                    Micros timeout);

}  // namespace millrace
