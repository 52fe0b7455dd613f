#include "engine/link/link_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/link/link_network_testing.h"
#include "engine/link/link_testing.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

LinkBytes Bytes(std::string text) { return arrow::Buffer::FromString(std::move(text)); }

LinkOptions Coordinator() {
  return LinkTestOptions(LinkRole::kCoordinator, "coordinator-0", /*listens=*/true);
}
LinkOptions Worker(const std::string& node = "worker-0") {
  return LinkTestOptions(LinkRole::kWorker, node, /*listens=*/false);
}

// Times with which tests of losses end soon.
LinkOptions Quick(LinkOptions options) {
  options.session.ping_interval = milliseconds(40);
  options.session.silence_max = milliseconds(200);
  options.session.session_timeout = milliseconds(600);
  options.handshake_timeout = milliseconds(300);
  options.backoff_max = milliseconds(100);
  return options;
}

std::vector<std::string> Numbered(size_t count, size_t bytes) {
  std::vector<std::string> frames;
  for (size_t i = 0; i < count; ++i) {
    frames.push_back(std::to_string(i) + "/" + std::string(bytes, char('a' + i % 26)));
  }
  return frames;
}

void SendAll(LinkNetwork* network, LinkSessionId session, const std::vector<std::string>& frames) {
  for (const std::string& frame : frames) {
    ASSERT_TRUE(network->Send(session, Bytes(frame)).ok());
  }
}

proto::LinkHello RawHello() {
  proto::LinkHello hello = MakeLinkHello({.cluster = "prod",
                                          .node = "worker-7",
                                          .role = LinkRole::kWorker,
                                          .incarnation = std::string(32, 'a')});
  hello.set_session(std::string(32, 'b'));
  hello.set_attempt(1);
  return hello;
}
std::string HelloBytes(const proto::LinkHello& hello) {
  return LinkBytesOf(MakeLinkHandshake(hello.SerializeAsString()));
}
proto::LinkAnswer AnswerOf(const std::string& bytes) {
  EXPECT_TRUE(bytes.starts_with("millrace")) << bytes;
  if (bytes.size() < 12) return {};
  return ParseLinkAnswer(bytes.substr(12)).ValueOr(proto::LinkAnswer());
}

TEST(LinkNetwork, FramesGoBothWaysInOrder) {
  LinkOptions options = Coordinator();
  options.self.attributes = "leads";
  LinkTestNode a(options);
  options = Worker();
  options.self.attributes = "8 slots";
  LinkTestNode b(options);
  ASSERT_TRUE(b.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  const LinkSessionId at_a = a.told.WaitOpened();
  const LinkSessionId at_b = b.told.WaitOpened();
  const LinkPeer peer = a.told.told().opened[0].second;
  EXPECT_EQ(peer.identity.node, "worker-0");
  EXPECT_EQ(peer.identity.attributes, "8 slots");
  EXPECT_EQ(peer.identity.incarnation, b.network->incarnation());
  EXPECT_FALSE(peer.dialed);
  EXPECT_EQ(peer.protocol, 1);
  EXPECT_EQ(b.told.told().opened[0].second.identity.attributes, "leads");
  EXPECT_EQ(b.told.told().opened[0].second.session, peer.session);

  std::vector<std::string> frames = Numbered(2000, 50);
  frames.push_back("");
  frames.push_back(std::string(20 << 20, 'L'));
  frames.push_back("last");
  SendAll(a.network.get(), at_a, frames);
  SendAll(b.network.get(), at_b, frames);
  EXPECT_TRUE(a.told.WaitFrames(at_a, frames.size()) == frames);
  EXPECT_TRUE(b.told.WaitFrames(at_b, frames.size()) == frames);
  const LinkCounters counters = a.network->counters();
  EXPECT_EQ(counters.frames_in, 2003);
  EXPECT_EQ(counters.frames_out, 2003);
  EXPECT_EQ(counters.bytes_in, counters.bytes_out);
  EXPECT_EQ(counters.sessions_opened, 1);
  EXPECT_EQ(counters.connections_accepted, 1);
}

TEST(LinkNetwork, AnObserverMayAnswerFromItsCallback) {
  LinkTestNode a(Coordinator());
  LinkTestNode b(Worker());
  a.told.on_frame = [&](LinkSessionId session, const LinkBytes& frame) {
    ASSERT_TRUE(a.network->Send(session, frame).ok());
  };
  ASSERT_TRUE(b.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  const LinkSessionId session = b.told.WaitOpened();
  SendAll(b.network.get(), session, Numbered(100, 10));
  EXPECT_EQ(b.told.WaitFrames(session, 100), Numbered(100, 10));
}

TEST(LinkNetwork, ItDialsUntilSomebodyIsThere) {
  LinkTestNode b(Quick(Worker()));
  uint16_t port = 0;
  {
    LinkTestNode before(Coordinator());
    port = before.network->port();
  }
  ASSERT_TRUE(b.network->Connect({"localhost", port}, LinkRole::kCoordinator).ok());
  EXPECT_THAT(b.told.WaitRefused("unreachable"), HasSubstr("Connection refused"));
  LinkOptions options = Coordinator();
  options.listen->port = port;
  LinkTestNode a(options);
  b.told.WaitOpened();
  // Told once, though it was tried often.
  EXPECT_EQ(b.told.told().refused.size(), 1u);
}

TEST(LinkNetwork, ASessionGoesOnAfterItsConnectionBreaksAtAnyByte) {
  LinkTestNode a(Coordinator());
  LinkProxy proxy(a.network->port());
  LinkTestNode b(Worker());
  ASSERT_TRUE(b.network->Connect(proxy.address(), LinkRole::kCoordinator).ok());
  const LinkSessionId at_a = a.told.WaitOpened();
  const LinkSessionId at_b = b.told.WaitOpened();
  std::vector<std::string> expected;
  // In a header, at its end, in a small frame, in a large one.
  for (const int64_t bytes : {10, 24, 3000, 150'000, 1'500'000}) {
    proxy.BreakAfter(bytes);
    std::vector<std::string> frames = Numbered(40, 200);
    frames.push_back(std::string(2 << 20, 'L'));
    for (const std::string& frame : frames) expected.push_back(frame);
    SendAll(b.network.get(), at_b, frames);
    SendAll(a.network.get(), at_a, frames);
    EXPECT_TRUE(a.told.WaitFrames(at_a, expected.size()) == expected);
    EXPECT_TRUE(b.told.WaitFrames(at_b, expected.size()) == expected);
    EXPECT_TRUE(proxy.broken());
  }
  EXPECT_GE(a.network->counters().sessions_resumed, 3);
  EXPECT_GT(b.network->counters().resent_frames, 0);
  EXPECT_EQ(a.network->counters().duplicate_frames, 0);
  EXPECT_TRUE(a.told.told().lost.empty());
  EXPECT_TRUE(b.told.told().lost.empty());
}

TEST(LinkNetwork, AHalfOpenConnectionIsNoticedAndMadeAgain) {
  for (const auto& [client, target] : {std::pair(true, true), {true, false}, {false, true}}) {
    LinkOptions options = Quick(Coordinator());
    options.session.session_timeout = std::chrono::seconds(5);
    LinkTestNode a(options);
    LinkProxy proxy(a.network->port());
    options = Quick(Worker());
    options.session.session_timeout = std::chrono::seconds(5);
    LinkTestNode b(options);
    ASSERT_TRUE(b.network->Connect(proxy.address(), LinkRole::kCoordinator).ok());
    const LinkSessionId at_a = a.told.WaitOpened();
    const LinkSessionId at_b = b.told.WaitOpened();
    proxy.Swallow(client, target);
    SendAll(a.network.get(), at_a, {"a"});
    SendAll(b.network.get(), at_b, {"b"});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (a.network->counters().connections_silent + b.network->counters().connections_silent ==
               0 &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    proxy.Swallow(false, false);
    EXPECT_THAT(a.told.WaitFrames(at_a, 1), testing::ElementsAre("b"));
    EXPECT_THAT(b.told.WaitFrames(at_b, 1), testing::ElementsAre("a"));
    EXPECT_TRUE(a.told.told().lost.empty());
  }
}

TEST(LinkNetwork, ASessionIsLostAfterItsTimeAndANewOneBegins) {
  LinkTestNode a(Quick(Coordinator()));
  LinkProxy proxy(a.network->port());
  LinkTestNode b(Quick(Worker()));
  ASSERT_TRUE(b.network->Connect(proxy.address(), LinkRole::kCoordinator).ok());
  const LinkSessionId at_a = a.told.WaitOpened();
  const LinkSessionId at_b = b.told.WaitOpened();
  proxy.SetDown(true);
  SendAll(b.network.get(), at_b, {"never comes"});
  EXPECT_EQ(a.told.WaitLost(at_a), "session_timeout");
  EXPECT_EQ(b.told.WaitLost(at_b), "session_timeout");
  EXPECT_EQ(LinkCodeOf(b.network->Send(at_b, Bytes("x"))), "session_lost");
  proxy.SetDown(false);
  const LinkSessionId next_a = a.told.WaitOpened(2);
  const LinkSessionId next_b = b.told.WaitOpened(2);
  SendAll(b.network.get(), next_b, {"new"});
  EXPECT_THAT(a.told.WaitFrames(next_a, 1), testing::ElementsAre("new"));
  EXPECT_EQ(a.told.told().frames.size(), 1u);
  EXPECT_EQ(a.told.told().lost.size(), 1u);
  EXPECT_NE(b.told.told().opened[0].second.session, b.told.told().opened[1].second.session);
}

TEST(LinkNetwork, WhoStartsAnewHasANewSession) {
  LinkOptions options = Coordinator();
  auto a = std::make_unique<LinkTestNode>(options);
  LinkProxy proxy(a->network->port());
  auto b = std::make_unique<LinkTestNode>(Worker());
  ASSERT_TRUE(b->network->Connect(proxy.address(), LinkRole::kCoordinator).ok());
  const LinkSessionId at_a = a->told.WaitOpened();
  b->told.WaitOpened();
  // The worker goes without a word and comes back under its name, well within the timeout.
  proxy.SetDown(true);
  b.reset();
  b = std::make_unique<LinkTestNode>(Worker());
  proxy.SetDown(false);
  ASSERT_TRUE(b->network->Connect(proxy.address(), LinkRole::kCoordinator).ok());
  EXPECT_EQ(a->told.WaitLost(at_a), "peer_restarted");
  a->told.WaitOpened(2);
  const LinkSessionId at_b = b->told.WaitOpened();
  // And the coordinator.
  options.listen->port = a->network->port();
  proxy.SetDown(true);
  a.reset();
  a = std::make_unique<LinkTestNode>(options);
  proxy.SetDown(false);
  EXPECT_EQ(b->told.WaitLost(at_b), "peer_restarted");
  b->told.WaitOpened(2);
  a->told.WaitOpened();
}

TEST(LinkNetwork, StoppingAndClosingAreTold) {
  LinkTestNode a(Coordinator());
  auto b = std::make_unique<LinkTestNode>(Worker());
  ASSERT_TRUE(b->network->Connect(a.address(), LinkRole::kCoordinator).ok());
  const LinkSessionId first = a.told.WaitOpened();
  b->told.WaitOpened();
  a.network->Close(first);
  EXPECT_EQ(a.told.WaitLost(first), "closed");
  EXPECT_EQ(b->told.WaitLost(b->told.WaitOpened()), "closed_by_peer");
  const LinkSessionId second = a.told.WaitOpened(2);
  b->network->Stop();
  b->network->Stop();
  EXPECT_EQ(a.told.WaitLost(second), "peer_stopped");
  EXPECT_EQ(LinkCodeOf(a.network->Send(second, Bytes(""))), "session_lost");
}

TEST(LinkNetwork, DisconnectingEndsDialing) {
  LinkTestNode a(Coordinator());
  LinkTestNode b(Worker());
  ASSERT_TRUE(b.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  const LinkSessionId at_a = a.told.WaitOpened();
  b.network->Disconnect(a.address());
  EXPECT_EQ(b.told.WaitLost(b.told.WaitOpened()), "closed");
  EXPECT_EQ(a.told.WaitLost(at_a), "closed_by_peer");
  ASSERT_TRUE(b.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  a.told.WaitOpened(2);
}

TEST(LinkNetwork, APeerThatTakesNothingLosesItsSession) {
  LinkOptions options = Coordinator();
  options.frame_bytes_max = 1 << 20;
  options.session.unacknowledged_bytes_max = 4 << 20;
  LinkTestNode a(options);
  LinkProxy proxy(a.network->port());
  LinkTestNode b(Worker());
  ASSERT_TRUE(b.network->Connect(proxy.address(), LinkRole::kCoordinator).ok());
  const LinkSessionId at_a = a.told.WaitOpened();
  const LinkSessionId at_b = b.told.WaitOpened();
  proxy.Swallow(true, true);
  const std::string frame(1 << 20, 'x');
  EXPECT_EQ(LinkCodeOf(a.network->Send(at_a, Bytes(frame + "x"))), "frame_too_large");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(a.network->Send(at_a, Bytes(frame)).ok());
  EXPECT_EQ(LinkCodeOf(a.network->Send(at_a, Bytes(frame))), "peer_too_slow");
  EXPECT_EQ(a.told.WaitLost(at_a), "peer_too_slow");
  proxy.Swallow(false, false);
  EXPECT_NE(b.told.WaitLost(at_b), "not lost");
}

// A process is stopped for longer than its session lives, and wakes with frames in its socket.
TEST(LinkNetwork, AStoppedProcessWakesOutsideItsSession) {
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  int ports[2];
  ASSERT_EQ(::pipe(ports), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    uint16_t port = 0;
    if (::read(ports[0], &port, sizeof port) != sizeof port) ::_exit(1);
    LinkTestNode worker(Quick(Worker()));
    worker.told.on_frame = [&](LinkSessionId, const LinkBytes& frame) {
      const std::string line = "frame " + frame->ToString() + "\n";
      (void)!::write(told[1], line.data(), line.size());
    };
    (void)worker.network->Connect({"127.0.0.1", port}, LinkRole::kCoordinator);
    const LinkSessionId session = worker.told.WaitOpened();
    const std::string line = "lost " + worker.told.WaitLost(session) + "\n";
    (void)!::write(told[1], line.data(), line.size());
    worker.told.WaitOpened(2);
    ::pause();
    ::_exit(0);
  }
  LinkTestNode a(Quick(Coordinator()));
  const uint16_t port = a.network->port();
  ASSERT_EQ(::write(ports[1], &port, sizeof port), ssize_t(sizeof port));
  const LinkSessionId session = a.told.WaitOpened();
  SendAll(a.network.get(), session, {"before"});
  const auto read_line = [&] {
    std::string line;
    for (char c = 0; ::read(told[0], &c, 1) == 1 && c != '\n';) line += c;
    return line;
  };
  EXPECT_EQ(read_line(), "frame before");
  ::kill(child, SIGSTOP);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  const auto stopped = std::chrono::steady_clock::now();
  SendAll(a.network.get(), session, {"while it was stopped"});
  EXPECT_EQ(a.told.WaitLost(session), "session_timeout");
  // By its own clock, too: that may be a ping later.
  std::this_thread::sleep_until(stopped + Quick(Worker()).session.session_timeout);
  ::kill(child, SIGCONT);
  const std::string line = read_line();
  EXPECT_TRUE(line == "lost session_timeout" || line == "lost given_up_by_peer") << line;
  const LinkSessionId next = a.told.WaitOpened(2);
  SendAll(a.network.get(), next, {"after"});
  EXPECT_EQ(read_line(), "frame after");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const int end : {told[0], told[1], ports[0], ports[1]}) ::close(end);
}

// ---- who is refused ----

TEST(LinkNetwork, AnotherClusterIsRefusedOnBothSides) {
  LinkTestNode a(Coordinator());
  LinkOptions options = Worker();
  options.self.cluster = "test";
  LinkTestNode b(options);
  ASSERT_TRUE(b.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  EXPECT_EQ(a.told.WaitRefused("wrong_cluster"),
            "is of the cluster \"test\", this node of \"prod\"");
  EXPECT_EQ(b.told.WaitRefused("wrong_cluster"),
            "refused by the peer: this node is of the cluster \"test\", this node of \"prod\"");
  EXPECT_GE(a.network->counters().refused["wrong_cluster"], 1);
  EXPECT_TRUE(a.told.told().opened.empty());
}

TEST(LinkNetwork, ProtocolsMustMeet) {
  LinkOptions options = Coordinator();
  options.self.protocol_max = 2;
  LinkTestNode a(options);
  options = Worker();
  options.self.protocol_min = 3;
  options.self.protocol_max = 4;
  LinkTestNode b(options);
  ASSERT_TRUE(b.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  EXPECT_THAT(b.told.WaitRefused("no_common_protocol"),
              HasSubstr("speaks protocol 3 to 4, this build 1 to 2"));
  options = Worker("worker-1");
  options.self.protocol_max = 5;
  LinkTestNode c(options);
  ASSERT_TRUE(c.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  c.told.WaitOpened();
  a.told.WaitOpened();
  EXPECT_EQ(c.told.told().opened[0].second.protocol, 2);
  EXPECT_EQ(a.told.told().opened[0].second.protocol, 2);
}

TEST(LinkNetwork, RolesAreExpected) {
  LinkOptions options = Coordinator();
  options.accept_roles = {LinkRole::kWorker};
  LinkTestNode a(options);
  LinkTestNode b(LinkTestOptions(LinkRole::kCoordinator, "coordinator-1", false));
  ASSERT_TRUE(b.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  EXPECT_THAT(b.told.WaitRefused("wrong_role"), HasSubstr("is a coordinator"));
  // Who is dialed is another than is thought.
  LinkTestNode c(Worker());
  ASSERT_TRUE(c.network->Connect(a.address(), LinkRole::kWorker).ok());
  EXPECT_EQ(c.told.WaitRefused("wrong_role"), "is a coordinator, which is not expected here");
}

TEST(LinkNetwork, GarbageInsteadOfAHandshakeIsToldAndClosed) {
  LinkTestNode a(Coordinator());
  const auto refused = [&](const std::string& bytes) {
    const LinkRawClient client(a.network->port());
    client.Send(bytes);
    return AnswerOf(client.ReadToEnd()).refusal();
  };
  EXPECT_EQ(refused("GET / HTTP/1.1\r\n\r\n"), "bad_magic");
  EXPECT_EQ(refused(std::string("\x16\x03\x01\x02\x00\x01", 6)), "tls_failed");
  EXPECT_EQ(refused(std::string("millrace\xFF\xFF\xFF\xFF", 12)), "oversize_handshake");
  EXPECT_EQ(refused(std::string("millrace\x02\0\0\0\xFF\xFF", 14)), "garbage");
  proto::LinkHello hello = RawHello();
  hello.set_session("short");
  EXPECT_EQ(refused(HelloBytes(hello)), "garbage");
  EXPECT_EQ(a.network->counters().refused["garbage"], 2);
  EXPECT_EQ(a.network->counters().refused["bad_magic"], 1);
}

TEST(LinkNetwork, GarbageInsteadOfAFrameEndsTheSession) {
  LinkTestNode a(Coordinator());
  uint64_t attempt = 0;
  const auto lost = [&](const std::string& bytes) {
    const LinkRawClient client(a.network->port());
    proto::LinkHello hello = RawHello();
    hello.set_attempt(++attempt);
    hello.set_session(MakeLinkId());
    client.Send(HelloBytes(hello) + LinkBytesOf(MakeLinkPing(0, 0)));
    const LinkSessionId session = a.told.WaitOpened(attempt);
    client.Send(bytes);
    const std::string code = a.told.WaitLost(session);
    // The reason is told before the end.
    EXPECT_THAT(client.ReadToEnd(), HasSubstr(code + "\n"));
    return code;
  };
  EXPECT_EQ(lost(std::string(24, '\xFF')), "garbage");
  // 2 GiB: closed by the header alone.
  EXPECT_EQ(lost(std::string("\0\0\0\x80\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24)),
            "oversize_frame");
  // Frame 2 before frame 1; an acknowledgement of what was never sent.
  EXPECT_EQ(lost(LinkBytesOf(MakeLinkOutput({.sequence = 2}, Bytes("x")))), "protocol_error");
  EXPECT_EQ(lost(LinkBytesOf(MakeLinkPing(77, 0))), "protocol_error");
  EXPECT_EQ(a.network->counters().refused["garbage"], 1);
  EXPECT_EQ(a.network->counters().refused["oversize_frame"], 1);
  EXPECT_EQ(a.network->counters().refused["protocol_error"], 2);
  EXPECT_TRUE(a.told.told().frames.empty());
}

TEST(LinkNetwork, HandshakesThatTakeTooLongAreClosedAndSoAreTooMany) {
  LinkOptions options = Quick(Coordinator());
  options.handshakes_max = 4;
  LinkTestNode a(options);
  std::vector<std::unique_ptr<LinkRawClient>> slow;
  for (int i = 0; i < 3; ++i) {
    slow.push_back(std::make_unique<LinkRawClient>(a.network->port()));
    slow.back()->Send("mill");
  }
  // Answered, and then silent.
  const LinkRawClient silent(a.network->port());
  silent.Send(HelloBytes(RawHello()));
  EXPECT_THAT(silent.Read(1), HasSubstr("coordinator-0"));
  const LinkRawClient more(a.network->port());
  EXPECT_EQ(more.ReadToEnd(), "");
  a.told.WaitRefused("too_many_handshakes");
  for (const auto& client : slow) {
    EXPECT_EQ(AnswerOf(client->ReadToEnd()).refusal(), "handshake_timeout");
  }
  EXPECT_THAT(silent.ReadToEnd(), HasSubstr("handshake_timeout"));
  EXPECT_EQ(a.network->counters().refused["handshake_timeout"], 4);
  EXPECT_TRUE(a.told.told().opened.empty());
}

TEST(LinkNetwork, PlaintextIsForLoopbackOnly) {
  LinkTestNode a(Worker());
  const Status refused = a.network->Connect({"192.0.2.1", 7400}, LinkRole::kCoordinator);
  EXPECT_EQ(LinkCodeOf(refused), "tls_required");
  EXPECT_THAT(refused.message(), HasSubstr("192.0.2.1:7400 is not a loopback address"));
  LinkOptions options = Coordinator();
  options.listen = LinkAddress{"0.0.0.0", 0};
  LinkRecorder told;
  EXPECT_EQ(LinkCodeOf(LinkNetwork::Start(options, &told).status()), "tls_required");
  options.listen = LinkAddress{"no host", 0};
  EXPECT_EQ(LinkCodeOf(LinkNetwork::Start(options, &told).status()), "bad_address");
  LinkTestNode b(Coordinator());
  options.listen = b.address();
  EXPECT_EQ(LinkCodeOf(LinkNetwork::Start(options, &told).status()), "port_taken");
  options = Coordinator();
  options.session.unacknowledged_bytes_max = 1;
  EXPECT_EQ(LinkCodeOf(LinkNetwork::Start(options, &told).status()), "bad_limits");
}

TEST(LinkAddress, IsReadAndWritten) {
  EXPECT_EQ(*ParseLinkAddress("worker-1:7401"), (LinkAddress{"worker-1", 7401}));
  EXPECT_EQ(*ParseLinkAddress("[::1]:1"), (LinkAddress{"::1", 1}));
  EXPECT_EQ(ParseLinkAddress("[::1]:1")->ToString(), "[::1]:1");
  for (const char* const bad :
       {"", "host", ":1", "host:", "host:x", "host:65536", "::1:1", "h:1x"}) {
    EXPECT_EQ(LinkCodeOf(ParseLinkAddress(bad).status()), "bad_address") << bad;
  }
}

}  // namespace
}  // namespace millrace
