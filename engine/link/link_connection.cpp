#include "engine/link/link_connection.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr size_t kCiphertextInBytes = 128 << 10;
// Ciphertext that is made before it is written.
constexpr size_t kCiphertextOutBytes = 256 << 10;
// A TLS record holds at most this.
constexpr size_t kRecordBytes = 16 << 10;
constexpr size_t kEncryptBytes = 4 * kRecordBytes;

std::string_view Header(const LinkOutput& output) {
  return {output.header.data(), output.header_bytes};
}

std::string_view Payload(const LinkOutput& output) {
  if (!output.payload) return {};
  return {reinterpret_cast<const char*>(output.payload->data()), size_t(output.payload->size())};
}

}  // namespace

LinkConnection::LinkConnection(std::unique_ptr<LinkSocket> socket,
                               std::unique_ptr<LinkTlsChannel> tls, size_t frame_bytes_max,
                               Handler* handler)
    : socket_(std::move(socket)),
      tls_(std::move(tls)),
      handler_(handler),
      peer_(socket_->peer()),
      reader_(frame_bytes_max) {
  if (tls_) ciphertext_in_.resize(kCiphertextInBytes);
}

void LinkConnection::Start() {
  const auto self = shared_from_this();
  if (tls_) {
    const Result<bool> done = tls_->Handshake();
    if (!done.ok()) return Break(done.status());
  } else {
    ready_ = true;
    handler_->OnReady();
  }
  Pump();
  ReadMore();
}

void LinkConnection::ReadMore() {
  if (closed_) return;
  const std::span<char> into =
      tls_ || finishing_ ? std::span<char>(ciphertext_in_) : reader_.Prepare();
  socket_->Read(into, [weak = weak_from_this()](const Result<size_t>& bytes) {
    const auto self = weak.lock();
    if (!self || self->closed_) return;
    if (!bytes.ok()) return self->Break(bytes.status());
    self->OnBytesRead(*bytes);
  });
}

void LinkConnection::OnBytesRead(size_t bytes) {
  if (!finishing_) {
    handler_->OnBytes();
    if (closed_) return;
    Status status;
    if (tls_) {
      status = Decrypt(bytes);
    } else {
      reader_.Commit(bytes);
      status = TakeFrames();
    }
    if (closed_) return;
    if (!status.ok()) {
      if (LinkCodeOf(status) != "connection_closed") handler_->OnRejected(status);
      if (!finishing_) return Break(status);
    }
    Pump();
    if (closed_) return;
    if (!finishing_) handler_->OnRead();
  }
  ReadMore();
}

Status LinkConnection::Decrypt(size_t bytes) {
  if (!heard_ && ciphertext_in_[0] == kLinkMagic[0]) {
    // No TLS record begins so. The reason goes back as it came; nothing else is said without TLS.
    tls_.reset();
    return ExternalError("tls_failed", "one of the two speaks TLS, the other one does not",
                         Retry::kYes);
  }
  heard_ = true;
  tls_->Feed({ciphertext_in_.data(), bytes});
  if (!ready_) {
    ARROW_ASSIGN_OR_RAISE(ready_, tls_->Handshake());
    if (!ready_) return Status::OK();
    handler_->OnReady();
  }
  while (!closed_ && !finishing_) {
    ARROW_ASSIGN_OR_RAISE(const size_t read, tls_->Read(reader_.Prepare()));
    if (read == 0) return Status::OK();
    reader_.Commit(read);
    ARROW_RETURN_NOT_OK(TakeFrames());
  }
  return Status::OK();
}

Status LinkConnection::TakeFrames() {
  while (!closed_ && !finishing_) {
    if (!frames_) {
      ARROW_ASSIGN_OR_RAISE(const std::optional<std::string> message, reader_.NextHandshake());
      if (!message) return Status::OK();
      handler_->OnHandshake(*message);
      // One message a side: what follows without being asked for is no handshake.
      if (!frames_ && !closed_ && !finishing_) {
        return InternalError("handshake", "a handshake that was not judged");
      }
    } else {
      ARROW_ASSIGN_OR_RAISE(const std::optional<LinkFrame> frame, reader_.Next());
      if (!frame) return Status::OK();
      handler_->OnFrame(*frame);
    }
  }
  return Status::OK();
}

void LinkConnection::Write(std::vector<LinkOutput> output) {
  if (closed_ || finishing_) return;
  const auto self = shared_from_this();
  pending_.insert(pending_.end(), std::make_move_iterator(output.begin()),
                  std::make_move_iterator(output.end()));
  Pump();
}

void LinkConnection::Finish(std::optional<LinkOutput> last) {
  if (closed_ || finishing_) return;
  const auto self = shared_from_this();
  if (ciphertext_in_.empty()) ciphertext_in_.resize(kCiphertextInBytes);
  // Before TLS's handshake is done only TLS has something to say.
  if (last && (ready_ || !tls_)) pending_.push_back(*std::move(last));
  finishing_ = true;
  Pump();
  if (!closed_) EndWriting();
}

void LinkConnection::Close() {
  closed_ = true;
  socket_.reset();
}

Status LinkConnection::CheckPeerName(const std::string& name) const {
  return tls_ ? tls_->CheckPeerName(name) : Status::OK();
}

void LinkConnection::Pump() {
  if (closed_ || writing_) return;
  if (current_.empty() && (ready_ || !tls_)) current_.swap(pending_);
  if (tls_) return PumpTls();
  if (current_.empty()) return;
  std::vector<std::string_view> parts;
  for (const LinkOutput& output : current_) {
    if (output.header_bytes > 0) parts.push_back(Header(output));
    if (!Payload(output).empty()) parts.push_back(Payload(output));
  }
  StartWriting(parts);
}

void LinkConnection::PumpTls() {
  if (ready_) {
    const Status status = Encrypt();
    if (!status.ok()) return Break(status);
  }
  if (tls_->output_bytes() == 0) return;
  tls_->TakeOutput(&ciphertext_out_);
  StartWriting({ciphertext_out_});
}

Status LinkConnection::Encrypt() {
  staging_.clear();
  while (current_index_ < current_.size() && tls_->output_bytes() < kCiphertextOutBytes) {
    const LinkOutput& output = current_[current_index_];
    const std::string_view payload = Payload(output);
    if (current_offset_ == 0) staging_ += Header(output);
    if (payload.size() < kRecordBytes) {
      staging_ += payload;
      ++current_index_;
      if (staging_.size() < kRecordBytes) continue;
    }
    ARROW_RETURN_NOT_OK(tls_->Write(staging_));
    staging_.clear();
    if (payload.size() < kRecordBytes) continue;
    const std::string_view slice = payload.substr(current_offset_, kEncryptBytes);
    ARROW_RETURN_NOT_OK(tls_->Write(slice));
    current_offset_ += slice.size();
    if (current_offset_ < payload.size()) continue;
    current_offset_ = 0;
    ++current_index_;
  }
  ARROW_RETURN_NOT_OK(tls_->Write(staging_));
  if (current_index_ < current_.size()) return Status::OK();
  current_.clear();
  current_index_ = 0;
  return Status::OK();
}

void LinkConnection::StartWriting(const std::vector<std::string_view>& parts) {
  writing_ = true;
  socket_->Write(parts, [weak = weak_from_this()](const Status& status) {
    const auto self = weak.lock();
    if (self && !self->closed_) self->OnPartsWritten(status);
  });
}

void LinkConnection::OnPartsWritten(const Status& status) {
  writing_ = false;
  if (!status.ok()) return Break(status);
  if (!tls_) current_.clear();
  if (finishing_) {
    Pump();
    if (!closed_) EndWriting();
    return;
  }
  if (idle() && ready_) handler_->OnWritten();
  Pump();
}

void LinkConnection::EndWriting() {
  if (idle() && (!tls_ || tls_->output_bytes() == 0)) socket_->ShutDownWriting();
}

void LinkConnection::Break(const Status& why) {
  if (closed_) return;
  Close();
  handler_->OnBroken(why);
}

}  // namespace millrace
