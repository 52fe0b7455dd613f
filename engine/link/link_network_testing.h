// For tests of the network on loopback: nodes that write down what they are told, a proxy that
// breaks connections, a client that sends any bytes, and certificates made on the spot.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/link/link_network.h"

namespace millrace {

// Waits with a deadline for what the network's thread does.
class LinkRecorder final : public LinkObserver {
 public:
  // In the network's thread, after it is written down.
  std::function<void(LinkSessionId, const LinkBytes&)> on_frame;

  void OnOpened(LinkSessionId session, const LinkPeer& peer) override;
  void OnFrame(LinkSessionId session, LinkBytes frame) override;
  void OnLost(LinkSessionId session, const Status& why) override;
  void OnRefused(const std::string& address, const Status& why) override;
  void OnWarning(const Status& warning) override;

  struct Told {
    std::vector<std::pair<LinkSessionId, LinkPeer>> opened;
    std::vector<std::pair<LinkSessionId, std::string>> frames;
    std::vector<std::pair<LinkSessionId, Status>> lost;
    std::vector<Status> refused;
    std::vector<Status> warnings;

    bool WasRefused(const std::string& code) const;
  };
  // Whether it became true within five seconds.
  bool WaitFor(const std::function<bool(const Told&)>& condition);
  Told told();

  // The n-th session, from 1; fails the test where it does not open.
  LinkSessionId WaitOpened(size_t n = 1);
  // Payloads of a session, once there are so many.
  std::vector<std::string> WaitFrames(LinkSessionId session, size_t n);
  // The code of a session's loss.
  std::string WaitLost(LinkSessionId session);
  // The message of a refusal with this code; fails the test where it does not come.
  std::string WaitRefused(const std::string& code);

 private:
  void Note(const std::function<void(Told&)>& change);

  std::mutex mutex_;
  std::condition_variable changed_;
  Told told_;
};

// Options of a node on loopback, with names as tests use them.
LinkOptions LinkTestOptions(LinkRole role, const std::string& node, bool listens);

// A node and what it was told.
struct LinkTestNode {
  explicit LinkTestNode(LinkOptions options);
  LinkAddress address() const { return {"127.0.0.1", network->port()}; }

  LinkRecorder told;
  std::unique_ptr<LinkNetwork> network;
};

// Passes bytes on between connections to its port and a target, until it is told otherwise.
class LinkProxy {
 public:
  explicit LinkProxy(uint16_t target);
  ~LinkProxy();

  LinkAddress address() const { return {"127.0.0.1", port_}; }
  // The next connection that has passed so many bytes to the target is broken, once.
  void BreakAfter(int64_t bytes) { break_after_ = bytes; }
  bool broken() const { return break_after_ < 0; }
  // Swallows what comes from one side, or both; connections stay open.
  void Swallow(bool from_client, bool from_target);
  // Accepts nothing and breaks what there is, until told again. It is so when this returns: nothing
  // that is sent afterwards passes.
  void SetDown(bool down) {
    down_ = down;
    down_applied_.wait(!down);
  }

 private:
  struct Pair;
  void Run();
  void AcceptPair();
  bool Forward(Pair* pair);

  const uint16_t target_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<int64_t> break_after_{INT64_MAX};
  std::atomic<bool> swallow_client_{false};
  std::atomic<bool> swallow_target_{false};
  std::atomic<bool> down_{false};
  std::atomic<bool> down_applied_{false};
  std::atomic<bool> stopped_{false};
  std::vector<Pair> pairs_;
  std::thread thread_;
};

// A connection that sends what it is given.
class LinkRawClient {
 public:
  explicit LinkRawClient(uint16_t port);
  ~LinkRawClient();
  void Send(std::string_view bytes) const;
  // All until the end; an empty string also where the end does not come within five seconds, with
  // a failure of the test.
  std::string ReadToEnd() const;
  // At least so many bytes.
  std::string Read(size_t bytes) const;

 private:
  int socket_ = -1;
};

// A CA that issues certificates, as PEM.
class LinkTestAuthority {
 public:
  explicit LinkTestAuthority(const std::string& name);
  ~LinkTestAuthority();

  struct Pem {
    std::string certificate;
    std::string key;
  };
  const std::string& ca() const { return ca_; }
  Pem Issue(const std::string& dns_name, bool expired = false) const;
  // Writes CA, certificate and key into `folder`, as a node reads them.
  LinkTlsFiles WriteFiles(const std::string& folder, const Pem& pem) const;

 private:
  struct Key;
  std::unique_ptr<Key> key_;
  std::string name_;
  std::string ca_;
};

// A new folder, deleted at the end.
class LinkTestFolder {
 public:
  LinkTestFolder();
  ~LinkTestFolder();
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace millrace
