// A job file from anywhere: read and planned, or refused with mistakes that can be shown.
#include "engine/model/job_file.h"
#include "engine/plan/planner.h"
#include "tests/fuzz/seeds.h"

namespace millrace {

std::vector<std::string> fuzz::Seeds() {
  std::vector<std::string> seeds;
  for (std::string& yaml : Sections(ReadSource("docs/job-file.md"), "```yaml", {"```"})) {
    seeds.push_back(std::move(yaml));
  }
  const std::string mistakes = ReadSource("engine/model/testdata/mistakes.txt");
  for (std::string& yaml : Sections(mistakes, "=== ", {">>>"})) seeds.push_back(std::move(yaml));
  for (const std::string& path : ListSources("jobs", ".yaml")) seeds.push_back(ReadSource(path));
  return seeds;
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  SecretLookup secrets;
  secrets.env = [](const std::string& name) -> std::optional<std::string> {
    if (name.size() > 8) return std::nullopt;
    return "127.0.0.1:19092";
  };
  secrets.file = [](const std::string& path) -> std::optional<std::string> {
    if (path.size() > 8) return std::nullopt;
    return "secret";
  };
  Diagnostics diagnostics("job.yaml", std::string(fuzz::View(data, size)));
  const JobSpec job = ReadJobFile(secrets, &diagnostics);
  JobPlan plan;
  if (job.streams_complete) plan = PlanJob(job, &diagnostics);  // as lint does
  if (diagnostics.Render().empty() != diagnostics.items().empty()) {
    fuzz::Fail("a mistake without a text");
  }
  if (!diagnostics.has_errors() && FormatPlan(plan).empty()) fuzz::Fail("a plan without a text");
  return 0;
}
