#include "engine/endpoints/plan_fingerprint.h"

#include "engine/storage/checksum.h"

namespace millrace {

std::string PlanFingerprint(const JobPlan& plan) {
  return ChecksumText(Checksum(FormatPlan(plan)));
}

}  // namespace millrace
