// Two nodes over a network that loses, delays and cuts, from seeds: the session, its frames and the
// decisions of the handshake, driven as LinkNode drives them, without sockets or clocks.
//
// Connections break after any byte or swallow what is sent (one way or both); processes are
// frozen and woken, or die and start anew. What must hold: what is delivered of a session is a
// prefix of what was sent in it, once and in order; nothing is delivered after its loss was told;
// when one side has lost a session, the other one learns of it; in the end all has arrived.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "engine/link/link_session.h"
#include "engine/link/link_testing.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;

constexpr size_t kFrameBytesMax = 300'000;
constexpr MonotonicTime kDelayMax = milliseconds(60);

// Of one session: what each side sent and had delivered. Side 0 dials.
struct History {
  std::vector<size_t> sent[2];
  size_t delivered[2] = {0, 0};
  bool opened[2] = {false, false};
  bool lost[2] = {false, false};
  bool dead[2] = {false, false};  // the process died
  MonotonicTime lost_at[2] = {};
};

// One direction of a connection.
struct Pipe {
  struct Piece {
    MonotonicTime at;
    std::string bytes;
  };
  std::deque<Piece> pieces;
  bool swallows = false;     // what is sent disappears
  MonotonicTime end_at{-1};  // closed by the writer; -1: open
  MonotonicTime last{0};
};

struct Connection {
  Pipe to[2];  // to[side]: what that side reads
};

struct Node {
  int side = 0;
  std::string incarnation;
  MonotonicTime frozen_until{0};
  std::shared_ptr<Connection> connection;
  std::unique_ptr<LinkFrameReader> reader;
  enum class Phase { kNone, kHello, kConfirm, kOpen } phase = Phase::kNone;
  MonotonicTime deadline{0};
  MonotonicTime greeted{0};
  std::string session;  // open, by its id
  std::unique_ptr<LinkSession> state;
  std::string asked;  // the session of the handshake that is under way
  uint64_t attempt = 0;
  LinkAdmission admission;
  proto::LinkHello hello;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {
    for (int side : {0, 1}) Restart(side);
  }

  void Run() {
    while (now_ < milliseconds(30'000)) Step(/*faults=*/true);
    for (Node& node : nodes_) node.frozen_until = MonotonicTime(0);
    const MonotonicTime end = now_ + milliseconds(12'000);
    while (now_ < end) Step(/*faults=*/false);
    CheckEnd();
  }

  int64_t delivered() const { return delivered_; }
  int64_t lost() const { return lost_; }
  int64_t resumed() const { return resumed_; }

 private:
  uint64_t Random(uint64_t bound) { return random_() % bound; }
  bool Chance(double probability) {
    return double(random_() >> 11) / double(1ull << 53) < probability;
  }
  bool Frozen(const Node& node) const { return now_ < node.frozen_until; }

  void Step(bool faults) {
    now_ += milliseconds(1 + Random(15));
    if (faults) Fault();
    for (Node& node : nodes_) {
      if (Frozen(node)) continue;
      if (faults && node.state && Chance(0.3)) Push(node);
      Read(node);
      Time(node);
      Write(node);
    }
  }

  // ---- faults ----

  void Fault() {
    Node& node = nodes_[Random(2)];
    if (Chance(0.004) && node.connection) {
      Cut(*node.connection);
    } else if (Chance(0.001) && node.connection) {
      const size_t side = Random(2);
      node.connection->to[side].swallows = true;
      if (Chance(0.5)) node.connection->to[1 - side].swallows = true;
    } else if (Chance(0.0008)) {
      node.frozen_until = now_ + milliseconds(Random(6000));
    } else if (Chance(0.0003)) {
      Restart(node.side);
    }
  }

  // Some bytes that are on their way still arrive, then the end.
  void Cut(Connection& connection) {
    for (Pipe& pipe : connection.to) {
      size_t bytes = 0;
      for (const Pipe::Piece& piece : pipe.pieces) bytes += piece.bytes.size();
      size_t kept = bytes == 0 ? 0 : Random(bytes + 1);
      std::deque<Pipe::Piece> pieces;
      for (Pipe::Piece& piece : pipe.pieces) {
        piece.bytes.resize(std::min(kept, piece.bytes.size()));
        kept -= piece.bytes.size();
        if (!piece.bytes.empty()) pieces.push_back(piece);
      }
      pipe.pieces = std::move(pieces);
      pipe.end_at = std::max(now_, pipe.last);
      pipe.swallows = true;
    }
  }

  void Restart(int side) {
    Node& node = nodes_[side];
    if (node.connection) {
      // A machine that dies says nothing.
      if (Chance(0.5)) Disconnect(node);
    }
    if (node.state) histories_[node.session].dead[side] = true;
    node = Node();
    node.side = side;
    node.incarnation = NewId();
  }

  // ---- connections ----

  std::string NewId() {
    const std::string digits = std::to_string(++last_id_);
    return std::string(32 - digits.size(), '0') + digits;
  }

  void Send(Node& node, const std::string& bytes) {
    Pipe& pipe = node.connection->to[1 - node.side];
    if (pipe.swallows || pipe.end_at >= MonotonicTime(0)) return;
    const MonotonicTime delay = MonotonicTime(Random(uint64_t(kDelayMax.count())));
    pipe.last = std::max(pipe.last, now_ + delay);
    pipe.pieces.push_back({pipe.last, bytes});
  }

  void Disconnect(Node& node) {
    if (!node.connection) return;
    Pipe& pipe = node.connection->to[1 - node.side];
    if (pipe.end_at < MonotonicTime(0) && !pipe.swallows) pipe.end_at = pipe.last;
    node.connection.reset();
    node.reader.reset();
    node.phase = Node::Phase::kNone;
    if (node.state) node.state->Detach();
  }

  void Dial() {
    Node& node = nodes_[0];
    node.connection = std::make_shared<Connection>();
    node.reader = std::make_unique<LinkFrameReader>(kFrameBytesMax);
    node.phase = Node::Phase::kHello;
    node.deadline = now_ + milliseconds(2000);
    node.greeted = now_;
    node.asked = node.state ? node.session : NewId();
    proto::LinkHello hello =
        MakeLinkHello({.cluster = "c", .node = "a", .incarnation = node.incarnation});
    hello.set_session(node.asked);
    hello.set_resume(node.state != nullptr);
    hello.set_received(node.state ? node.state->received() : 0);
    hello.set_attempt(++node.attempt);
    Send(node, LinkBytesOf(MakeLinkHandshake(hello.SerializeAsString())));
    // The other side accepts it, and forgets the one before when it has read the Hello.
    waiting_ = node.connection;
  }

  void Accept() {
    Node& node = nodes_[1];
    if (!waiting_) return;
    Disconnect(node);
    node.connection = std::move(waiting_);
    node.reader = std::make_unique<LinkFrameReader>(kFrameBytesMax);
    node.phase = Node::Phase::kHello;
    node.deadline = now_ + milliseconds(2000);
  }

  // ---- what a node does ----

  void Time(Node& node) {
    if (node.state) {
      const LinkSession::Due due = node.state->OnTime(now_);
      if (due == LinkSession::Due::kLost) Lose(node);
      if (due == LinkSession::Due::kDead) Disconnect(node);
    }
    if (node.connection && node.phase != Node::Phase::kOpen && now_ > node.deadline) {
      Disconnect(node);
    }
    if (node.side == 0 && !node.connection && Chance(0.2)) Dial();
    if (node.side == 1) Accept();
  }

  void Write(Node& node) {
    if (!node.state || !node.state->has_output()) return;
    std::string bytes;
    for (const LinkOutput& output : node.state->TakeOutput(1 << 20, now_)) {
      bytes += LinkBytesOf(output);
    }
    if (!node.state->lost().ok()) return Lose(node);
    if (!bytes.empty()) Send(node, bytes);
  }

  void Push(Node& node) {
    const size_t bytes = Chance(0.03) ? Random(kFrameBytesMax) : Random(200);
    History& history = histories_[node.session];
    const size_t index = history.sent[node.side].size();
    std::string payload(bytes, char(index));
    node.state->Push(arrow::Buffer::FromString(std::move(payload)));
    history.sent[node.side].push_back(bytes);
  }

  void Read(Node& node) {
    while (node.connection) {
      Pipe& pipe = node.connection->to[node.side];
      if (pipe.pieces.empty() || pipe.pieces.front().at > now_) {
        if (pipe.pieces.empty() && pipe.end_at >= MonotonicTime(0) && pipe.end_at <= now_) {
          Disconnect(node);
        }
        return;
      }
      std::string& bytes = pipe.pieces.front().bytes;
      if (node.state && node.phase == Node::Phase::kOpen) {
        node.state->OnBytes(node.reader->inside_large_frame(), now_);
        if (!node.state->lost().ok()) return Lose(node);
      }
      const std::span<char> into = node.reader->Prepare();
      const size_t taken = std::min({into.size(), bytes.size(), size_t(1 + Random(100'000))});
      std::copy_n(bytes.begin(), taken, into.begin());
      bytes.erase(0, taken);
      if (bytes.empty()) pipe.pieces.pop_front();
      node.reader->Commit(taken);
      TakeMessages(node);
    }
  }

  void TakeMessages(Node& node) {
    while (node.connection) {
      if (node.phase == Node::Phase::kHello) {
        const auto message = node.reader->NextHandshake().ValueOrDie();
        if (!message) return;
        node.side == 0 ? TakeAnswer(node, *message) : TakeHello(node, *message);
        continue;
      }
      const auto frame = node.reader->Next().ValueOrDie();
      if (!frame) return;
      TakeFrame(node, *frame);
    }
  }

  void TakeHello(Node& node, const std::string& message) {
    node.hello = ParseLinkHello(message).ValueOrDie();
    if (node.state && node.state->OnTime(now_) == LinkSession::Due::kLost) Lose(node, false);
    const LinkAdmission::Decision decision = node.admission.Admit(node.hello);
    if (!decision.ends.empty() && node.state) {
      EXPECT_EQ(decision.ends, node.session);
      Lose(node, false);
    }
    proto::LinkAnswer answer;
    if (!decision.status.ok()) {
      answer.set_refusal(LinkCodeOf(decision.status));
    } else if (decision.resume) {
      answer.mutable_hello()->set_received(node.state->received());
    }
    Send(node, LinkBytesOf(MakeLinkHandshake(answer.SerializeAsString())));
    if (!decision.status.ok()) return Disconnect(node);
    node.phase = Node::Phase::kConfirm;
  }

  void TakeAnswer(Node& node, const std::string& message) {
    const proto::LinkAnswer answer = ParseLinkAnswer(message).ValueOrDie();
    if (!answer.refusal().empty()) {
      Disconnect(node);
      if (answer.refusal() == "unknown_session" && node.state) Lose(node);
      return;
    }
    if (node.state) {
      node.phase = Node::Phase::kOpen;
      node.state->Attach(answer.hello().received(), node.greeted, now_);
      if (!node.state->lost().ok()) return Lose(node);
      ++resumed_;
    } else {
      Open(node, node.asked);
    }
  }

  void Open(Node& node, const std::string& id) {
    node.phase = Node::Phase::kOpen;
    node.session = id;
    node.state = std::make_unique<LinkSession>(LinkSessionLimits(), now_);
    node.state->Attach(0, std::nullopt, now_);
    EXPECT_FALSE(histories_[id].opened[node.side]);
    histories_[id].opened[node.side] = true;
  }

  void TakeFrame(Node& node, const LinkFrame& frame) {
    if (node.phase == Node::Phase::kConfirm) {
      if (!node.hello.resume()) {
        node.admission.OnOpened("a", node.hello.session());
        Open(node, node.hello.session());
      } else if (node.state) {
        node.phase = Node::Phase::kOpen;
        node.state->Attach(node.hello.received(), std::nullopt, now_);
        if (!node.state->lost().ok()) return Lose(node);
      } else {
        return Disconnect(node);
      }
    }
    const LinkSession::Incoming incoming = node.state->OnFrame(frame, now_);
    ASSERT_NE(incoming, LinkSession::Incoming::kDuplicate);
    if (incoming == LinkSession::Incoming::kLost) return Lose(node);
    if (incoming == LinkSession::Incoming::kDeliver) Deliver(node, frame);
  }

  void Deliver(Node& node, const LinkFrame& frame) {
    History& history = histories_[node.session];
    const int other = 1 - node.side;
    const size_t index = history.delivered[node.side]++;
    ASSERT_LT(index, history.sent[other].size());
    ASSERT_EQ(size_t(frame.payload->size()), history.sent[other][index]);
    if (frame.payload->size() > 0) {
      ASSERT_EQ(char(frame.payload->data()[0]), char(index));
    }
    ASSERT_FALSE(history.lost[node.side]);
    // Who has given up is not contradicted for long.
    if (history.lost[other]) {
      ASSERT_LT(now_ - history.lost_at[other], milliseconds(2 * 2500) + kDelayMax);
    }
    ++delivered_;
  }

  void Lose(Node& node, bool disconnect = true) {
    EXPECT_NE(LinkCodeOf(node.state->lost()), "protocol_error") << node.state->lost().ToString();
    History& history = histories_[node.session];
    EXPECT_FALSE(history.lost[node.side]);
    history.lost[node.side] = true;
    history.lost_at[node.side] = now_;
    ++lost_;
    if (node.side == 1) node.admission.OnEnded("a", node.session);
    node.state.reset();
    if (disconnect) Disconnect(node);
  }

  void CheckEnd() {
    for (const auto& [id, history] : histories_) {
      for (int side : {0, 1}) {
        const int other = 1 - side;
        const bool over = history.lost[side] || history.dead[side];
        if (history.opened[other] && over) {
          EXPECT_TRUE(history.lost[other] || history.dead[other]) << id;
        }
      }
    }
    ASSERT_TRUE(nodes_[0].state && nodes_[1].state);
    ASSERT_EQ(nodes_[0].session, nodes_[1].session);
    const History& last = histories_[nodes_[0].session];
    for (int side : {0, 1}) EXPECT_EQ(last.delivered[side], last.sent[1 - side].size());
    for (Node& node : nodes_) EXPECT_EQ(node.state->kept_bytes(), 0);
  }

  std::mt19937_64 random_;
  MonotonicTime now_{0};
  Node nodes_[2];
  std::shared_ptr<Connection> waiting_;
  std::map<std::string, History> histories_;
  uint64_t last_id_ = 0;
  int64_t delivered_ = 0;
  int64_t lost_ = 0;
  int64_t resumed_ = 0;
};

TEST(LinkRandom, NothingIsLostDoubledOrOutOfTurn) {
  const char* const text = std::getenv("MILLRACE_LINK_SEEDS");  // NOLINT(concurrency-mt-unsafe)
  const uint64_t seeds = text == nullptr ? 300 : std::strtoull(text, nullptr, 10);
  int64_t delivered = 0;
  int64_t lost = 0;
  int64_t resumed = 0;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    world.Run();
    if (HasFailure()) return;
    delivered += world.delivered();
    lost += world.lost();
    resumed += world.resumed();
  }
  // The faults have come to pass.
  EXPECT_GT(delivered, int64_t(seeds) * 100);
  EXPECT_GT(lost, int64_t(seeds));
  EXPECT_GT(resumed, int64_t(seeds));
  RecordProperty("delivered", int(delivered));
  RecordProperty("lost", int(lost));
  RecordProperty("resumed", int(resumed));
}

}  // namespace
}  // namespace millrace
