// Reads a job file: YAML to JobSpec. Finds every mistake of form (unknown or missing keys, wrong
// kinds of value, bad durations, names that do not exist, secrets that are not set) and tells them
// all at once. What concerns SQL is found by engine/plan into the same Diagnostics.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "engine/base/diagnostics.h"
#include "engine/model/job.h"

namespace millrace {

// Resolves ${env:NAME} and ${file:PATH}. Handed in, so that tests need neither.
struct SecretLookup {
  std::function<std::optional<std::string>(const std::string&)> env;
  std::function<std::optional<std::string>(const std::string&)> file;
};
SecretLookup SystemSecrets();

// `diagnostics` holds the file's name and text. Always returns what could be read; it is to be
// used only if !diagnostics->has_errors(). Never throws; at most 1 MiB and a depth of 64.
JobSpec ReadJobFile(const SecretLookup& secrets, Diagnostics* diagnostics);

}  // namespace millrace
