#include "engine/link/link_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "engine/env/file_stamp.h"

namespace millrace {

namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using SslContext = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>>;
using SslPointer = std::unique_ptr<SSL, Deleter<SSL_free>>;

// The first error that OpenSSL has noted in this thread; forgets all.
std::string OpensslMessage() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "an unknown error";
  const char* const reason = ERR_reason_error_string(code);
  return reason == nullptr ? "error " + std::to_string(code) : reason;
}

Status TlsFailed(const std::string& message) {
  return ExternalError("tls_failed", "TLS: " + message, Retry::kYes);
}

// DNS names of a certificate, for people.
std::string NamesOf(const X509* certificate) {
  std::string text;
  auto* const names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names) && text.size() < 512; ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_DNS) continue;
    if (!text.empty()) text += ", ";
    for (int at = 0; at < ASN1_STRING_length(name->d.dNSName) && at < 253; ++at) {
      const char c = char(ASN1_STRING_get0_data(name->d.dNSName)[at]);
      text += c > ' ' && c <= '~' ? c : '?';
    }
  }
  GENERAL_NAMES_free(names);
  return text.empty() ? "no DNS name" : text;
}

// What OpenSSL reads and writes. Its own memory BIO copies and clears more than it encrypts.
struct Ciphertext {
  std::string_view input;
  std::string output;
};

int ReadInput(BIO* bio, char* into, int bytes) {
  std::string_view& input = static_cast<Ciphertext*>(BIO_get_data(bio))->input;
  BIO_clear_retry_flags(bio);
  if (input.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const size_t taken = std::min(size_t(bytes), input.size());
  std::copy_n(input.data(), taken, into);
  input.remove_prefix(taken);
  return int(taken);
}

int WriteOutput(BIO* bio, const char* from, int bytes) {
  BIO_clear_retry_flags(bio);
  static_cast<Ciphertext*>(BIO_get_data(bio))->output.append(from, size_t(bytes));
  return bytes;
}

long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO* MakeBio(Ciphertext* ciphertext) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* const made =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "a link's ciphertext");
    BIO_meth_set_read(made, ReadInput);
    BIO_meth_set_write(made, WriteOutput);
    BIO_meth_set_ctrl(made, Control);
    return made;
  }();
  BIO* const bio = BIO_new(method);
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, ciphertext);
  BIO_set_init(bio, 1);
  return bio;
}

class OpensslChannel final : public LinkTlsChannel {
 public:
  // `ssl` reads and writes `ciphertext`.
  OpensslChannel(std::unique_ptr<Ciphertext> ciphertext, SslPointer ssl)
      : ciphertext_(std::move(ciphertext)), ssl_(std::move(ssl)) {}

  void Feed(std::string_view ciphertext) override { ciphertext_->input = ciphertext; }

  Result<bool> Handshake() override {
    if (SSL_is_init_finished(ssl_.get()) != 0) return true;
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    if (done == 1) return true;
    const int error = SSL_get_error(ssl_.get(), done);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return false;
    return Failure();
  }

  Result<size_t> Read(std::span<char> into) override {
    ERR_clear_error();
    size_t read = 0;
    const int done = SSL_read_ex(ssl_.get(), into.data(), into.size(), &read);
    if (done == 1) return read;
    const int error = SSL_get_error(ssl_.get(), done);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
    if (error == SSL_ERROR_ZERO_RETURN) {
      return ExternalError("connection_closed", "the peer closed the connection", Retry::kYes);
    }
    return Failure();
  }

  Status Write(std::string_view plaintext) override {
    if (plaintext.empty()) return Status::OK();
    ERR_clear_error();
    size_t written = 0;
    if (SSL_write_ex(ssl_.get(), plaintext.data(), plaintext.size(), &written) == 1) {
      return Status::OK();
    }
    return Failure();
  }

  size_t output_bytes() const override { return ciphertext_->output.size(); }

  void TakeOutput(std::string* into) override {
    into->clear();
    into->swap(ciphertext_->output);
  }

  Status CheckPeerName(const std::string& name) const override {
    const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
    constexpr unsigned kFlags = X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
    if (certificate != nullptr && X509_check_host(const_cast<X509*>(certificate), name.data(),
                                                  name.size(), kFlags, nullptr) == 1) {
      return Status::OK();
    }
    return ExternalError("wrong_tls_name",
                         "has a certificate for " +
                             (certificate == nullptr ? "nobody" : NamesOf(certificate)) +
                             "; it must be for " + name,
                         Retry::kYes);
  }

 private:
  Status Failure() const {
    const long verified = SSL_get_verify_result(ssl_.get());
    const std::string message = OpensslMessage();
    if (verified == X509_V_OK) return TlsFailed(message);
    return TlsFailed("the peer's certificate is refused: " +
                     std::string(X509_verify_cert_error_string(verified)));
  }

  const std::unique_ptr<Ciphertext> ciphertext_;
  const SslPointer ssl_;
};

}  // namespace

struct LinkTls::Context {
  SslContext ssl;
};

struct LinkTls::Stamp {
  std::array<FileStamp, 3> files;
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

std::string LinkTlsName(LinkRole role, std::string_view cluster) {
  return std::string(LinkRoleName(role)) + "." + std::string(cluster) + ".millrace";
}

LinkTls::LinkTls(LinkTlsFiles files) : files_(std::move(files)) {}
LinkTls::~LinkTls() = default;

LinkTls::Stamp LinkTls::StampOf(const LinkTlsFiles& files) {
  return {{FileStamp::Of(files.ca), FileStamp::Of(files.certificate), FileStamp::Of(files.key)}};
}

Result<std::shared_ptr<LinkTls::Context>> LinkTls::LoadContext(const LinkTlsFiles& files) {
  ERR_clear_error();
  const auto failed = [](const std::string& what) {
    return UserError("tls_files", what + ": " + OpensslMessage());
  };
  auto context = std::make_shared<Context>();
  context->ssl.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* const ssl = context->ssl.get();
  if (ssl == nullptr || SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) != 1) {
    return failed("TLS 1.3");
  }
  SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  // Sessions are resumed above TLS; each connection proves its certificate anew.
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ssl, 0);
  if (SSL_CTX_load_verify_file(ssl, files.ca.c_str()) != 1) {
    return failed("cannot use the CA certificates in " + files.ca);
  }
  if (SSL_CTX_use_certificate_chain_file(ssl, files.certificate.c_str()) != 1) {
    return failed("cannot use the certificate in " + files.certificate);
  }
  if (SSL_CTX_use_PrivateKey_file(ssl, files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(ssl) != 1) {
    return failed("cannot use the key in " + files.key + " with the certificate in " +
                  files.certificate);
  }
  return context;
}

Result<std::unique_ptr<LinkTls>> LinkTls::Load(LinkTlsFiles files) {
  std::unique_ptr<LinkTls> tls(new LinkTls(std::move(files)));
  tls->stamp_ = std::make_unique<Stamp>(StampOf(tls->files_));
  ARROW_ASSIGN_OR_RAISE(tls->context_, LoadContext(tls->files_));
  return tls;
}

Result<std::unique_ptr<LinkTlsChannel>> LinkTls::MakeChannel(bool is_client, Status* warning) {
  std::shared_ptr<Context> context;
  {
    std::lock_guard lock(mutex_);
    // Before reading: what changes meanwhile is found the next time.
    const Stamp stamp = StampOf(files_);
    if (stamp != *stamp_) {
      *stamp_ = stamp;
      Result<std::shared_ptr<Context>> loaded = LoadContext(files_);
      if (loaded.ok()) {
        context_ = std::move(loaded).ValueUnsafe();
      } else {
        *warning = WithContext(loaded.status(), "changed TLS files; the old ones go on");
      }
    }
    context = context_;
  }
  SslPointer ssl(SSL_new(context->ssl.get()));
  auto ciphertext = std::make_unique<Ciphertext>();
  BIO* const bio = MakeBio(ciphertext.get());
  if (!ssl || bio == nullptr) {
    BIO_free(bio);
    return TlsFailed("out of memory");
  }
  SSL_set_bio(ssl.get(), bio, bio);
  if (is_client) {
    SSL_set_connect_state(ssl.get());
  } else {
    SSL_set_accept_state(ssl.get());
  }
  return std::make_unique<OpensslChannel>(std::move(ciphertext), std::move(ssl));
}

}  // namespace millrace
