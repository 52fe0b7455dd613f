// The bytes of a connection between two nodes: what is no handshake and no frame is refused, what
// is taken goes through the session's rules, and no more memory is held than has come. The first
// byte says in what pieces they come; with its highest bit the frames come without a handshake.
#include <algorithm>

#include "engine/link/link_handshake.h"
#include "engine/link/link_session.h"
#include "tests/fuzz/seeds.h"

namespace millrace {
namespace {

constexpr size_t kFrameBytesMax = 1 << 20;

std::string Bytes(const LinkOutput& output) {
  std::string bytes(output.header.data(), output.header_bytes);
  if (output.payload) bytes += output.payload->ToString();
  return bytes;
}

LinkIdentity Self(char incarnation) {
  return {.cluster = "prod",
          .node = "worker-1",
          .role = LinkRole::kWorker,
          .incarnation = std::string(32, incarnation)};
}

class Receiver {
 public:
  explicit Receiver(bool frames) : frames_(frames) {
    session_.Attach(0, MonotonicTime(0), MonotonicTime(0));
    for (int i = 0; i < 3; ++i) session_.Push(arrow::Buffer::FromString("sent"));
    (void)session_.TakeOutput(kFrameBytesMax, MonotonicTime(0));
  }

  // False: the connection is closed.
  bool Take(std::string_view piece) {
    while (!piece.empty()) {
      const std::span<char> into = reader_.Prepare();
      if (into.empty()) fuzz::Fail("no room for what comes");
      const size_t taken = std::min(into.size(), piece.size());
      std::copy_n(piece.begin(), taken, into.begin());
      piece.remove_prefix(taken);
      came_ += taken;
      reader_.Commit(taken);
      if (!TakeMessages()) return false;
      if (reader_.held_bytes() > (512 << 10) + 4 * came_) fuzz::Fail("more is held than came");
    }
    return true;
  }

 private:
  bool TakeMessages() {
    while (true) {
      if (!frames_) {
        const Result<std::optional<std::string>> message = reader_.NextHandshake();
        if (!message.ok()) return false;
        if (!*message) return true;
        if (!Greet(**message)) return false;
        frames_ = true;
      } else {
        const Result<std::optional<LinkFrame>> frame = reader_.Next();
        if (!frame.ok()) return false;
        if (!*frame) return true;
        const uint64_t before = session_.received();
        const LinkSession::Incoming incoming = session_.OnFrame(**frame, MonotonicTime(0));
        const bool delivered = incoming == LinkSession::Incoming::kDeliver;
        if (session_.received() != before + (delivered ? 1 : 0)) fuzz::Fail("counted wrongly");
        if (delivered && (*frame)->header.sequence != before + 1) fuzz::Fail("out of turn");
        if (!session_.lost().ok()) return false;
      }
    }
  }

  bool Greet(const std::string& message) {
    const Result<proto::LinkAnswer> answer = ParseLinkAnswer(message);
    if (answer.ok()) (void)RefusedByPeer(*answer);
    const Result<proto::LinkHello> hello = ParseLinkHello(message);
    if (!hello.ok() || !JudgeLinkHello(Self('a'), {LinkRole::kWorker}, *hello).ok()) return false;
    return admission_.Admit(*hello).status.ok();
  }

  LinkFrameReader reader_{kFrameBytesMax};
  LinkSession session_{LinkSessionLimits(), MonotonicTime(0)};
  LinkAdmission admission_;
  bool frames_;
  size_t came_ = 0;
};

}  // namespace

std::vector<std::string> fuzz::Seeds() {
  proto::LinkHello hello = MakeLinkHello(Self('b'));
  hello.set_session(std::string(32, 'c'));
  hello.set_attempt(1);
  const std::string greeting = Bytes(MakeLinkHandshake(hello.SerializeAsString()));
  const auto data = [](uint64_t sequence, size_t bytes) {
    return Bytes(MakeLinkOutput(
        {.type = LinkFrameType::kData, .sequence = sequence, .acknowledged = sequence},
        arrow::Buffer::FromString(std::string(bytes, 'x'))));
  };
  const std::string frames = Bytes(MakeLinkPing(0, 10)) + data(1, 5) + data(2, 0) + data(3, 3000);
  return {std::string(1, '\x7F') + greeting + frames,
          std::string(1, '\x01') + greeting + frames + Bytes(MakeLinkClose("closed", "why")),
          std::string(1, '\xFF') + frames + data(4, 40000).substr(0, 4000),
          std::string(1, '\x90') + frames + data(4, 1).replace(3, 1, "\x7F")};
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  if (size == 0) return 0;
  Receiver receiver((data[0] & 0x80) != 0);
  const size_t piece = size_t(data[0] & 0x7F) * 32 + 1;
  std::string_view bytes = fuzz::View(data + 1, size - 1);
  while (!bytes.empty()) {
    if (!receiver.Take(bytes.substr(0, piece))) break;
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  return 0;
}
