// Reads spec.lookups of a job file: tables that streams are joined with.
#pragma once

#include <string>
#include <vector>

#include "engine/model/job_fields.h"

namespace millrace {

// `streams`: the names that are taken.
std::vector<LookupSpec> ReadLookups(const JobFileContext& context, const YamlNode& node,
                                    const std::vector<std::string>& streams);

}  // namespace millrace
