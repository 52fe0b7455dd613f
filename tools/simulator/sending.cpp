#include "tools/simulator/sending.h"

#include <algorithm>
#include <thread>

namespace millrace {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kCheckEvery = 256;  // records between looks at the clock when unlimited
constexpr Micros kFlushMax = std::chrono::seconds(60);
constexpr Micros kFlushAfterStopMax = std::chrono::seconds(5);

double SecondsSince(MonotonicTime start, const Clock& clock) {
  return std::chrono::duration<double>(clock.Monotonic() - start).count();
}

class Pacer {
 public:
  Pacer(const SendOptions& options, const Clock& clock)
      : options_(options), clock_(clock), start_(clock.Monotonic()) {}

  bool stopped() const { return options_.stop != nullptr && options_.stop->load(); }

  // How many records may be sent now, after `sent`; waits a little when none.
  int64_t Allowance(int64_t sent) {
    const double elapsed = SecondsSince(start_, clock_);
    Report(sent, elapsed);
    int64_t allowed = kCheckEvery;
    if (options_.rate > 0) {
      allowed = std::min(allowed, int64_t(elapsed * options_.rate) - sent);
      if (allowed <= 0) std::this_thread::sleep_for(milliseconds(1));
    }
    if (options_.readings > 0) allowed = std::min(allowed, options_.readings - sent);
    return std::max<int64_t>(allowed, 0);
  }

  double seconds() const { return SecondsSince(start_, clock_); }

 private:
  void Report(int64_t sent, double elapsed) {
    if (!options_.progress || elapsed - reported_ < 0.1) return;
    reported_ = elapsed;
    options_.progress(sent, elapsed);
  }

  const SendOptions& options_;
  const Clock& clock_;
  MonotonicTime start_;
  double reported_ = 0;
};

}  // namespace

Result<SendOutcome> SendRecords(const SendOptions& options, const MakeSource& make_source,
                                const Clock& clock) {
  ARROW_ASSIGN_OR_RAISE(auto producer, TopicProducer::Open(options.target));
  RecordSource* const source = make_source(producer->partition_counts());
  Pacer pacer(options, clock);
  int64_t sent = 0;
  bool complete = false;
  while (!complete && !pacer.stopped()) {
    for (int64_t left = pacer.Allowance(sent); left > 0; --left, ++sent) {
      const std::optional<SimulatedRecord> record = source->Next();
      if (!record) {
        complete = true;
        break;
      }
      ARROW_RETURN_NOT_OK(producer->Produce(record->topic, record->partition, record->key,
                                            record->value, record->record_time));
    }
    complete |= options.readings > 0 && sent == options.readings;
    ARROW_RETURN_NOT_OK(producer->Poll());
  }
  ARROW_RETURN_NOT_OK(producer->Flush(complete ? kFlushMax : kFlushAfterStopMax));
  if (options.progress) options.progress(sent, pacer.seconds());
  return SendOutcome{complete, pacer.seconds()};
}

EventTime DefaultStart(EventTime now, Micros covered) {
  const Micros back = std::max<Micros>(std::chrono::hours(24), covered + std::chrono::minutes(10));
  return FloorTo(now - back, std::chrono::minutes(1));
}

}  // namespace millrace
