#include "engine/endpoints/job_lookups.h"

#include <arrow/filesystem/localfs.h>

#include "engine/endpoints/job_sources.h"
#include "engine/metrics/log.h"

namespace millrace {
namespace {

Result<std::unique_ptr<LookupFeed>> OpenFeed(const JobSpec& job,
                                             const std::shared_ptr<Lookup>& lookup,
                                             const ConnectorOptions& connectors,
                                             const LookupFeedOptions& options) {
  if (std::holds_alternative<FilesSourceSpec>(lookup->spec().input)) {
    return OpenFileLookup(lookup, std::make_shared<arrow::fs::LocalFileSystem>(), options);
  }
  ARROW_ASSIGN_OR_RAISE(LookupTopic topic,
                        MakeLookupTopic(job, lookup->spec(), lookup->layout(), connectors));
  return OpenTopicLookup(lookup, std::move(topic), options);
}

}  // namespace

Result<std::unique_ptr<JobLookups>> JobLookups::Open(const JobSpec& job, const JobPlan& plan,
                                                     const ConnectorOptions& connectors,
                                                     const Clock* clock,
                                                     const std::atomic<bool>& stopping) {
  auto opened = std::make_unique<JobLookups>();
  for (const LookupSpec& spec : job.lookups) {
    auto layout = LookupLayoutOf(spec, plan);
    if (!layout) continue;
    const auto lookup = std::make_shared<Lookup>(spec, std::move(*layout));
    LookupFeedOptions options;
    options.clock = clock;
    options.stopping = &stopping;
    options.warn = [name = spec.name](const std::string& message) {
      LogWarn(message, {{"lookup", name}});
    };
    std::unique_ptr<LookupFeed> feed;
    const MonotonicTime start = clock->Monotonic();
    const auto open = [&] {
      ARROW_ASSIGN_OR_RAISE(feed, OpenFeed(job, lookup, connectors, options));
      return Status::OK();
    };
    ARROW_RETURN_NOT_OK(
        AttemptWithBackoff(*clock, stopping, "reading lookup '" + spec.name + "'", open));
    const LookupFigures figures = lookup->figures();
    LogInfo("lookup is read",
            {{"lookup", spec.name},
             {"rows", figures.rows},
             {"bytes", figures.bytes},
             {"seconds", std::chrono::duration<double>(clock->Monotonic() - start).count()}});
    opened->tables_[spec.name] = lookup;
    opened->feeds_.push_back(std::move(feed));
  }
  return opened;
}

}  // namespace millrace
