// One connection: a socket, TLS over it where it is used, and frames cut out of what comes. It
// knows neither nodes nor sessions: its handler does. Lives in the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/link/link_frame.h"
#include "engine/link/link_io.h"
#include "engine/link/link_tls.h"

namespace millrace {

class LinkConnection : public std::enable_shared_from_this<LinkConnection> {
 public:
  // Outlives the connection, or closes it before it goes.
  class Handler {
   public:
    virtual ~Handler() = default;
    // Bytes can be exchanged: at once, or when TLS's handshake is done.
    virtual void OnReady() = 0;
    virtual void OnBytes() = 0;
    virtual void OnHandshake(const std::string& message) = 0;
    virtual void OnFrame(const LinkFrame& frame) = 0;
    // All frames of what has come were given.
    virtual void OnRead() = 0;
    // All that was given to Write is written.
    virtual void OnWritten() = 0;
    // What came is none of ours ("garbage", "tls_failed" and the like). Calls Finish or Close.
    virtual void OnRejected(const Status& why) = 0;
    // The connection is closed; called once, and not after Close.
    virtual void OnBroken(const Status& why) = 0;
  };

  // `tls`: null for plaintext.
  LinkConnection(std::unique_ptr<LinkSocket> socket, std::unique_ptr<LinkTlsChannel> tls,
                 size_t frame_bytes_max, Handler* handler);

  void Start();
  // From here on what comes are frames. Called in OnHandshake.
  void BeginFrames() { frames_ = true; }
  void Write(std::vector<LinkOutput> output);
  // Nothing is being written.
  bool idle() const { return !writing_ && current_.empty() && pending_.empty(); }
  // Writes `last` after what is being written, then nothing more, and reads nothing but the end,
  // so that the other side gets it: closing at once could take it back. The handler hears of the
  // end by OnBroken, and calls Close where the other side lets it wait.
  void Finish(std::optional<LinkOutput> last);
  void Close();
  bool closed() const { return closed_; }
  bool finishing() const { return finishing_; }

  bool inside_large_frame() const { return reader_.inside_large_frame(); }
  const std::string& peer() const { return peer_; }
  // Where TLS is used, and its handshake is done; else OK.
  Status CheckPeerName(const std::string& name) const;
  bool ready() const { return ready_; }

 private:
  void ReadMore();
  void OnBytesRead(size_t bytes);
  Status Decrypt(size_t bytes);
  Status TakeFrames();
  // Writes what waits, if nothing is being written.
  void Pump();
  void PumpTls();
  Status Encrypt();
  void EndWriting();
  void StartWriting(const std::vector<std::string_view>& parts);
  void OnPartsWritten(const Status& status);
  void Break(const Status& why);

  std::unique_ptr<LinkSocket> socket_;
  std::unique_ptr<LinkTlsChannel> tls_;
  Handler* const handler_;
  const std::string peer_;
  LinkFrameReader reader_;
  bool heard_ = false;  // TLS: something came
  bool ready_ = false;
  bool frames_ = false;
  bool finishing_ = false;
  bool closed_ = false;

  std::vector<char> ciphertext_in_;
  std::vector<LinkOutput> pending_;  // to be written after current_
  std::vector<LinkOutput> current_;
  size_t current_index_ = 0;   // TLS: the first of current_ that is not encrypted yet
  size_t current_offset_ = 0;  // TLS: bytes of its payload that are
  std::string ciphertext_out_;
  std::string staging_;  // TLS: small frames, which share records
  bool writing_ = false;
};

}  // namespace millrace
