// What a session costs between two nodes of one process over loopback: bytes a second, by frame
// size, in plaintext and over TLS. Sender, receiver and the kernel share the machine's cores.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include "engine/link/link_network_testing.h"

namespace millrace {
namespace {

double CpuSeconds() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return double(time.tv_sec) + double(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Counts, and wakes who waits for a number of bytes.
class Sink final : public LinkObserver {
 public:
  void OnOpened(LinkSessionId session, const LinkPeer&) override {
    std::lock_guard lock(mutex_);
    session_ = session;
    changed_.notify_all();
  }
  void OnFrame(LinkSessionId, LinkBytes frame) override {
    std::lock_guard lock(mutex_);
    bytes_ += frame->size();
    changed_.notify_all();
  }
  void OnLost(LinkSessionId, const Status& why) override {
    // At the end of a measurement its other node stops first.
    if (LinkCodeOf(why) != "peer_stopped") std::fprintf(stderr, "%s\n", why.ToString().c_str());
  }
  void OnRefused(const std::string&, const Status& why) override {
    std::fprintf(stderr, "%s\n", why.ToString().c_str());
  }
  void OnWarning(const Status&) override {}

  LinkSessionId WaitOpened() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return session_ != LinkSessionId(); });
    return session_;
  }
  void WaitBytes(int64_t bytes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return bytes_ >= bytes; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  LinkSessionId session_;
  int64_t bytes_ = 0;
};

void BM_Link(benchmark::State& state, bool tls) {
  const int64_t frame_bytes = state.range(0);
  const LinkTestFolder folder;
  const LinkTestAuthority authority("ca");
  LinkOptions options = LinkTestOptions(LinkRole::kCoordinator, "coordinator-0", true);
  LinkOptions worker_options = LinkTestOptions(LinkRole::kWorker, "worker-0", false);
  if (tls) {
    options.tls = authority.WriteFiles(folder / "a", authority.Issue("coordinator.prod.millrace"));
    worker_options.tls =
        authority.WriteFiles(folder / "b", authority.Issue("worker.prod.millrace"));
  }
  Sink receiver;
  Sink sender;
  const auto to = LinkNetwork::Start(options, &receiver).ValueOrDie();
  const auto from = LinkNetwork::Start(worker_options, &sender).ValueOrDie();
  (void)from->Connect({"127.0.0.1", to->port()}, LinkRole::kCoordinator);
  const LinkSessionId session = sender.WaitOpened();
  const LinkBytes frame = arrow::Buffer::FromString(std::string(size_t(frame_bytes), 'x'));
  // As credit does it: so much may be on its way.
  const int64_t ahead = std::max<int64_t>(32 << 20, frame_bytes);
  int64_t sent = 0;
  const double cpu = CpuSeconds();
  for (auto _ : state) {
    receiver.WaitBytes(sent + frame_bytes - ahead);
    if (const Status status = from->Send(session, frame); !status.ok()) {
      state.SkipWithError(status.ToString().c_str());
      break;
    }
    sent += frame_bytes;
  }
  receiver.WaitBytes(sent);
  state.counters["CPU s/GB"] = (CpuSeconds() - cpu) / (double(sent) / 1e9);
  state.SetBytesProcessed(sent);
}
void FrameSizes(benchmark::internal::Benchmark* bench) {
  for (const int64_t bytes : {200, 16 << 10, 256 << 10, 4 << 20, 64 << 20}) bench->Arg(bytes);
  bench->UseRealTime();
}
BENCHMARK_CAPTURE(BM_Link, plaintext, false)->Apply(FrameSizes);
BENCHMARK_CAPTURE(BM_Link, tls, true)->Apply(FrameSizes);

}  // namespace
}  // namespace millrace

BENCHMARK_MAIN();
