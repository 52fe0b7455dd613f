// The certificate of a server, read again when its files change. TLS 1.2 and later.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "engine/base/status.h"
#include "engine/env/file_stamp.h"

struct ssl_st;
struct ssl_ctx_st;

namespace millrace {

// PEM files.
struct ServerCertificateFiles {
  std::string certificate;  // the server's, with intermediate ones after it
  std::string key;
};

// All methods may be called from any thread.
class ServerCertificate {
 public:
  // "tls_files" (user): a file that cannot be read, a key that is another certificate's.
  static Result<std::unique_ptr<ServerCertificate>> Load(ServerCertificateFiles files);
  ~ServerCertificate();

  // Makes connections of `context` use this certificate, which outlives it.
  void Serve(ssl_ctx_st* context);
  // Why changed files are not used, once for each change; else OK.
  Status TakeWarning();

 private:
  explicit ServerCertificate(ServerCertificateFiles files) : files_(std::move(files)) {}
  static Result<std::shared_ptr<ssl_ctx_st>> Read(const ServerCertificateFiles& files);
  static int OnConnection(ssl_st* connection, void* self);
  std::shared_ptr<ssl_ctx_st> Newest();

  const ServerCertificateFiles files_;
  std::mutex mutex_;
  // Guarded by mutex_.
  FileStamp certificate_stamp_;  // of what was last read or tried
  FileStamp key_stamp_;
  std::shared_ptr<ssl_ctx_st> loaded_;  // holds certificate, chain and key
  Status warning_;
};

}  // namespace millrace
