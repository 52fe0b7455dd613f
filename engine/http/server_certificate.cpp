#include "engine/http/server_certificate.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace millrace {
namespace {

Status Unusable(const std::string& what) {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return UserError("tls_files",
                   "cannot use " + what + ": " + (reason == nullptr ? "unknown error" : reason));
}

}  // namespace

Result<std::shared_ptr<ssl_ctx_st>> ServerCertificate::Read(const ServerCertificateFiles& files) {
  ERR_clear_error();
  const std::shared_ptr<SSL_CTX> read(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (read == nullptr) return Unusable("TLS");
  if (SSL_CTX_use_certificate_chain_file(read.get(), files.certificate.c_str()) != 1) {
    return Unusable("the certificate in '" + files.certificate + "'");
  }
  if (SSL_CTX_use_PrivateKey_file(read.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(read.get()) != 1) {
    return Unusable("the key in '" + files.key + "' with the certificate in '" + files.certificate +
                    "'");
  }
  return read;
}

Result<std::unique_ptr<ServerCertificate>> ServerCertificate::Load(ServerCertificateFiles files) {
  std::unique_ptr<ServerCertificate> certificate(new ServerCertificate(std::move(files)));
  certificate->certificate_stamp_ = FileStamp::Of(certificate->files_.certificate);
  certificate->key_stamp_ = FileStamp::Of(certificate->files_.key);
  ARROW_ASSIGN_OR_RAISE(certificate->loaded_, Read(certificate->files_));
  return certificate;
}

ServerCertificate::~ServerCertificate() = default;

std::shared_ptr<ssl_ctx_st> ServerCertificate::Newest() {
  const std::lock_guard lock(mutex_);
  // Before reading: what changes meanwhile is found the next time.
  const FileStamp certificate = FileStamp::Of(files_.certificate);
  const FileStamp key = FileStamp::Of(files_.key);
  if (certificate != certificate_stamp_ || key != key_stamp_) {
    certificate_stamp_ = certificate;
    key_stamp_ = key;
    Result<std::shared_ptr<ssl_ctx_st>> read = Read(files_);
    if (read.ok()) {
      loaded_ = *std::move(read);
    } else {
      warning_ = WithContext(read.status(), "changed TLS files; the old ones go on");
    }
  }
  return loaded_;
}

Status ServerCertificate::TakeWarning() {
  const std::lock_guard lock(mutex_);
  return std::exchange(warning_, Status::OK());
}

int ServerCertificate::OnConnection(ssl_st* connection, void* self) {
  const std::shared_ptr<SSL_CTX> newest = static_cast<ServerCertificate*>(self)->Newest();
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(newest.get(), &chain);
  return SSL_use_cert_and_key(connection, SSL_CTX_get0_certificate(newest.get()),
                              SSL_CTX_get0_privatekey(newest.get()), chain, /*override=*/1);
}

void ServerCertificate::Serve(ssl_ctx_st* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_cert_cb(context, OnConnection, this);
}

}  // namespace millrace
