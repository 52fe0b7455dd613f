// Reads spec.alerts, spec.sinks and spec.dead_letters of a job file.
#pragma once

#include <optional>
#include <vector>

#include "engine/model/job_fields.h"

namespace millrace {

std::vector<AlertSpec> ReadAlerts(const JobFileContext& context, const YamlNode& node);
std::vector<SinkSpec> ReadSinks(const JobFileContext& context, const YamlNode& node);
std::optional<DeadLetterSpec> ReadDeadLetters(const JobFileContext& context,
                                              const YamlEntry& entry);

// No two outputs go to one topic or one path.
void CheckTargets(const JobFileContext& context, const JobSpec& job);

}  // namespace millrace
