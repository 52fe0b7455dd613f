// What `describe job` says: for a person who was woken by an alert. First how it is, then why there
// is no output or less of it, then each part; no line needs another screen. Pure.
#pragma once

#include <string>

#include "proto/admin.pb.h"

namespace millrace {

std::string FormatJobReport(const proto::JobDescription& description);

}  // namespace millrace
