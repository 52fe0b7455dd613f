// Mutual TLS 1.3 between nodes, without sockets: OpenSSL turns bytes into bytes. The other side's
// certificate must chain to the cluster's CA; its name is compared by PeerHasName.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/link/link_handshake.h"

namespace millrace {

// PEM files. They are read again when they have changed (Kubernetes rotates Secrets): certificates
// of connections that are made after that are the new ones.
struct LinkTlsFiles {
  std::string ca;           // one or more certificates
  std::string certificate;  // the node's, with intermediate ones after it
  std::string key;
};

// The DNS name that the certificate of such a node must have: "worker.CLUSTER.millrace".
std::string LinkTlsName(LinkRole role, std::string_view cluster);

// One connection. Not safe for threads.
class LinkTlsChannel {
 public:
  virtual ~LinkTlsChannel() = default;

  // Ciphertext that has come from the network. It stays valid until Handshake gives false, or Read
  // 0.
  virtual void Feed(std::string_view ciphertext) = 0;
  // Goes on with the handshake; true: it is done, and was before where it returns true again.
  // Error: "tls_failed", with what OpenSSL says of it.
  virtual Result<bool> Handshake() = 0;
  // Plaintext, after the handshake; 0: more ciphertext is needed. Error: "tls_failed",
  // "connection_closed".
  virtual Result<size_t> Read(std::span<char> into) = 0;
  // After the handshake: encrypts all of it.
  virtual Status Write(std::string_view plaintext) = 0;
  // Ciphertext that is to be sent: how much there is, and all of it.
  virtual size_t output_bytes() const = 0;
  virtual void TakeOutput(std::string* into) = 0;

  // Error: "wrong_tls_name". After the handshake.
  virtual Status CheckPeerName(const std::string& name) const = 0;
};

// All methods may be called from any thread.
class LinkTls {
 public:
  // User errors: "tls_files": a file that cannot be read, a key that is another certificate's.
  static Result<std::unique_ptr<LinkTls>> Load(LinkTlsFiles files);
  ~LinkTls();

  // A channel with the files' present content. Where that cannot be used, with the last that could,
  // and `warning` says why, once for each change.
  Result<std::unique_ptr<LinkTlsChannel>> MakeChannel(bool is_client, Status* warning);

 private:
  struct Context;
  struct Stamp;
  explicit LinkTls(LinkTlsFiles files);
  static Result<std::shared_ptr<Context>> LoadContext(const LinkTlsFiles& files);
  static Stamp StampOf(const LinkTlsFiles& files);

  const LinkTlsFiles files_;
  std::mutex mutex_;
  std::shared_ptr<Context> context_;  // guarded by mutex_
  std::unique_ptr<Stamp> stamp_;      // guarded by mutex_; of what was last read or tried
};

}  // namespace millrace
