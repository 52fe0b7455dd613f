#include "engine/link/link_network_testing.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace millrace {
namespace {

constexpr auto kDeadline = std::chrono::seconds(5);

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int ConnectTo(uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = Loopback(port);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return socket;
  }
  ::close(socket);
  return -1;
}

bool Readable(int socket, int milliseconds) {
  pollfd poll = {socket, POLLIN, 0};
  return ::poll(&poll, 1, milliseconds) > 0;
}

// False: the other side is gone.
bool SendAll(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(size_t(sent));
  }
  return true;
}

template <typename Write>
std::string ToPem(const Write& write) {
  BIO* const bio = BIO_new(BIO_s_mem());
  write(bio);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  std::string pem(bytes, size_t(size));
  BIO_free(bio);
  return pem;
}

void SetName(X509_NAME* name, const std::string& text) {
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1, 0);
}

void AddExtension(X509* certificate, int id, const std::string& value) {
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, id, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

// ---- LinkRecorder ----

void LinkRecorder::Note(const std::function<void(Told&)>& change) {
  std::lock_guard lock(mutex_);
  change(told_);
  changed_.notify_all();
}

void LinkRecorder::OnOpened(LinkSessionId session, const LinkPeer& peer) {
  Note([&](Told& told) { told.opened.emplace_back(session, peer); });
}

void LinkRecorder::OnFrame(LinkSessionId session, LinkBytes frame) {
  Note([&](Told& told) { told.frames.emplace_back(session, frame->ToString()); });
  if (on_frame) on_frame(session, frame);
}

void LinkRecorder::OnLost(LinkSessionId session, const Status& why) {
  Note([&](Told& told) { told.lost.emplace_back(session, why); });
}

void LinkRecorder::OnRefused(const std::string& address, const Status& why) {
  Note([&](Told& told) { told.refused.push_back(why); });
}

void LinkRecorder::OnWarning(const Status& warning) {
  Note([&](Told& told) { told.warnings.push_back(warning); });
}

bool LinkRecorder::Told::WasRefused(const std::string& code) const {
  return std::ranges::any_of(refused,
                             [&](const Status& status) { return LinkCodeOf(status) == code; });
}

bool LinkRecorder::WaitFor(const std::function<bool(const Told&)>& condition) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kDeadline, [&] { return condition(told_); });
}

LinkRecorder::Told LinkRecorder::told() {
  std::lock_guard lock(mutex_);
  return told_;
}

LinkSessionId LinkRecorder::WaitOpened(size_t n) {
  if (!WaitFor([&](const Told& told) { return told.opened.size() >= n; })) {
    ADD_FAILURE() << "session " << n << " did not open";
    return {};
  }
  return told().opened[n - 1].first;
}

std::vector<std::string> LinkRecorder::WaitFrames(LinkSessionId session, size_t n) {
  std::vector<std::string> frames;
  const auto collect = [&](const Told& told) {
    frames.clear();
    for (const auto& [of, frame] : told.frames) {
      if (of == session) frames.push_back(frame);
    }
    return frames.size() >= n;
  };
  EXPECT_TRUE(WaitFor(collect)) << frames.size() << " frames of " << n;
  return frames;
}

std::string LinkRecorder::WaitLost(LinkSessionId session) {
  std::string code = "not lost";
  (void)WaitFor([&](const Told& told) {
    for (const auto& [of, why] : told.lost) {
      if (of == session) code = LinkCodeOf(why);
    }
    return code != "not lost";
  });
  return code;
}

std::string LinkRecorder::WaitRefused(const std::string& code) {
  EXPECT_TRUE(WaitFor([&](const Told& told) { return told.WasRefused(code); })) << code;
  std::string codes;
  for (const Status& status : told().refused) {
    if (LinkCodeOf(status) == code) return status.message();
    codes += status.ToString() + "; ";
  }
  return "told: " + codes;
}

// ---- nodes ----

LinkOptions LinkTestOptions(LinkRole role, const std::string& node, bool listens) {
  LinkOptions options;
  options.self.cluster = "prod";
  options.self.node = node;
  options.self.role = role;
  if (listens) options.listen = LinkAddress{"127.0.0.1", 0};
  return options;
}

LinkTestNode::LinkTestNode(LinkOptions options) {
  Result<std::unique_ptr<LinkNetwork>> started = LinkNetwork::Start(std::move(options), &told);
  EXPECT_TRUE(started.ok()) << started.status();
  if (started.ok()) network = std::move(started).ValueUnsafe();
}

// ---- LinkProxy ----

struct LinkProxy::Pair {
  int client = -1;
  int target = -1;
  int64_t passed = 0;
};

LinkProxy::LinkProxy(uint16_t target) : target_(target) {
  listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(listener_, 16), 0);
  socklen_t size = sizeof address;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Run(); });
}

LinkProxy::~LinkProxy() {
  stopped_ = true;
  thread_.join();
  ::close(listener_);
}

void LinkProxy::Swallow(bool from_client, bool from_target) {
  swallow_client_ = from_client;
  swallow_target_ = from_target;
}

void LinkProxy::AcceptPair() {
  Pair pair;
  pair.client = ::accept(listener_, nullptr, nullptr);
  if (pair.client < 0) return;
  pair.target = down_ ? -1 : ConnectTo(target_);
  if (pair.target < 0) {
    ::close(pair.client);
  } else {
    pairs_.push_back(pair);
  }
}

// False: the pair is broken.
bool LinkProxy::Forward(Pair* pair) {
  if (down_) return false;
  std::string buffer(64 << 10, '\0');
  for (const bool from_client : {true, false}) {
    const int from = from_client ? pair->client : pair->target;
    const int to = from_client ? pair->target : pair->client;
    if (!Readable(from, 0)) continue;
    const ssize_t got = ::recv(from, buffer.data(), buffer.size(), 0);
    if (got <= 0) return false;
    std::string_view bytes(buffer.data(), size_t(got));
    if (from_client) {
      const int64_t limit = break_after_;
      const bool breaks = limit >= 0 && pair->passed + got > limit;
      if (breaks) bytes = bytes.substr(0, size_t(std::max<int64_t>(0, limit - pair->passed)));
      pair->passed += got;
      if (breaks) {
        SendAll(to, bytes);
        break_after_ = -1;
        return false;
      }
    }
    if (from_client ? swallow_client_ : swallow_target_) continue;
    if (!SendAll(to, bytes)) return false;
  }
  return true;
}

void LinkProxy::Run() {
  while (!stopped_) {
    const bool down = down_;
    std::vector<pollfd> polled = {{listener_, POLLIN, 0}};
    for (const Pair& pair : pairs_) {
      polled.push_back({pair.client, POLLIN, 0});
      polled.push_back({pair.target, POLLIN, 0});
    }
    ::poll(polled.data(), polled.size(), 5);
    if (Readable(listener_, 0)) AcceptPair();
    std::erase_if(pairs_, [&](Pair& pair) {
      if (Forward(&pair)) return false;
      ::close(pair.client);
      ::close(pair.target);
      return true;
    });
    down_applied_ = down;
    down_applied_.notify_all();
  }
  for (const Pair& pair : pairs_) {
    ::close(pair.client);
    ::close(pair.target);
  }
}

// ---- LinkRawClient ----

LinkRawClient::LinkRawClient(uint16_t port) : socket_(ConnectTo(port)) { EXPECT_GE(socket_, 0); }

LinkRawClient::~LinkRawClient() { ::close(socket_); }

void LinkRawClient::Send(std::string_view bytes) const { (void)SendAll(socket_, bytes); }

std::string LinkRawClient::Read(size_t bytes) const {
  std::string all;
  std::string buffer(64 << 10, '\0');
  while (all.size() < bytes) {
    if (!Readable(socket_, 5000)) {
      ADD_FAILURE() << "the connection is still open";
      return "";
    }
    const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (got <= 0) return all;
    all.append(buffer.data(), size_t(got));
  }
  return all;
}

std::string LinkRawClient::ReadToEnd() const { return Read(SIZE_MAX); }

// ---- certificates ----

struct LinkTestAuthority::Key {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  ~Key() { EVP_PKEY_free(key); }
};

namespace {

X509* MakeCertificate(const std::string& subject, const std::string& issuer, EVP_PKEY* key,
                      bool expired) {
  X509* const certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  static std::atomic<long> serial = 1;
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
  X509_gmtime_adj(X509_getm_notAfter(certificate), expired ? -3600 : 3600);
  SetName(X509_get_subject_name(certificate), subject);
  X509_NAME* const issuer_name = X509_NAME_new();
  SetName(issuer_name, issuer);
  X509_set_issuer_name(certificate, issuer_name);
  X509_NAME_free(issuer_name);
  X509_set_pubkey(certificate, key);
  return certificate;
}

std::string CertificatePem(X509* certificate) {
  return ToPem([&](BIO* bio) { PEM_write_bio_X509(bio, certificate); });
}

}  // namespace

LinkTestAuthority::LinkTestAuthority(const std::string& name)
    : key_(std::make_unique<Key>()), name_(name) {
  X509* const certificate = MakeCertificate(name, name, key_->key, false);
  AddExtension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  X509_sign(certificate, key_->key, EVP_sha256());
  ca_ = CertificatePem(certificate);
  X509_free(certificate);
}

LinkTestAuthority::~LinkTestAuthority() = default;

LinkTestAuthority::Pem LinkTestAuthority::Issue(const std::string& dns_name, bool expired) const {
  const Key key;
  X509* const certificate = MakeCertificate("a node", name_, key.key, expired);
  AddExtension(certificate, NID_subject_alt_name, "DNS:" + dns_name);
  X509_sign(certificate, key_->key, EVP_sha256());
  Pem pem;
  pem.certificate = CertificatePem(certificate);
  pem.key = ToPem([&](BIO* bio) {
    PEM_write_bio_PrivateKey(bio, key.key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  X509_free(certificate);
  return pem;
}

LinkTlsFiles LinkTestAuthority::WriteFiles(const std::string& folder, const Pem& pem) const {
  std::filesystem::create_directories(folder);
  const auto write = [&](const std::string& name, const std::string& content) {
    // Another file in its place, as Kubernetes does it.
    std::ofstream(folder + "/" + name + ".new") << content;
    std::filesystem::rename(folder + "/" + name + ".new", folder + "/" + name);
    return folder + "/" + name;
  };
  return {write("ca.crt", ca_), write("tls.crt", pem.certificate), write("tls.key", pem.key)};
}

LinkTestFolder::LinkTestFolder() {
  std::string path = (std::filesystem::temp_directory_path() / "millrace-link-XXXXXX").string();
  path_ = ::mkdtemp(path.data());
}

LinkTestFolder::~LinkTestFolder() { std::filesystem::remove_all(path_); }

}  // namespace millrace
