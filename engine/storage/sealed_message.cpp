#include "engine/storage/sealed_message.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include "engine/storage/checksum.h"
#include "engine/storage/little_endian.h"

namespace millrace {
namespace {

constexpr size_t kHeadBytes = 12;
constexpr size_t kTailBytes = 8;

// Protobuf tells the process' standard error what it cannot read; we return it.
bool ParseQuietly(std::string_view bytes, google::protobuf::MessageLite* message) {
  const google::protobuf::LogSilencer silencer;
  return message->ParseFromArray(bytes.data(), int(bytes.size()));
}

}  // namespace

Result<std::string> Seal(const SealedKind& kind, const google::protobuf::MessageLite& message) {
  std::string bytes(kind.magic);
  AppendLittleEndian<uint32_t>(uint32_t(kind.format), &bytes);
  if (message.ByteSizeLong() > size_t(kSealedBytesMax) - kHeadBytes - kTailBytes) {
    return InternalError("message_unwritable",
                         message.GetTypeName() + " is larger than what is read back");
  }
  {
    const google::protobuf::LogSilencer silencer;
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeWithCachedSizes(&coded);
  }
  // Text that is not UTF-8 is written without complaint and refused when it is read.
  const std::unique_ptr<google::protobuf::MessageLite> copy(message.New());
  if (!ParseQuietly(std::string_view(bytes).substr(kHeadBytes), copy.get())) {
    return InternalError("message_unwritable",
                         message.GetTypeName() + " holds text that is not UTF-8");
  }
  AppendLittleEndian<uint64_t>(Checksum(bytes), &bytes);
  return bytes;
}

Status Unseal(const SealedKind& kind, std::string_view bytes, const std::string& name,
              google::protobuf::MessageLite* message) {
  auto damaged = [&](const std::string& what) {
    return ExternalError(kind.damaged, name + " is damaged: " + what, Retry::kNo);
  };
  if (bytes.size() < kHeadBytes + kTailBytes) {
    return damaged("it has only " + std::to_string(bytes.size()) + " bytes");
  }
  if (int64_t(bytes.size()) > kSealedBytesMax) {
    return damaged("it has " + std::to_string(bytes.size()) + " bytes, more than is ever written");
  }
  if (bytes.substr(0, kind.magic.size()) != kind.magic) {
    return damaged("it does not begin with " + std::string(kind.magic));
  }
  const std::string_view summed = bytes.substr(0, bytes.size() - kTailBytes);
  const uint64_t expected = ReadLittleEndian<uint64_t>(bytes.substr(summed.size()));
  if (Checksum(summed) != expected) {
    return damaged("its checksum is " + ChecksumText(Checksum(summed)) + ", not " +
                   ChecksumText(expected));
  }
  const uint32_t format = ReadLittleEndian<uint32_t>(bytes.substr(kind.magic.size()));
  if (format > uint32_t(kind.format)) {
    return UserError("format_too_new", name + " is of format " + std::to_string(format) +
                                           "; this build reads up to format " +
                                           std::to_string(kind.format));
  }
  if (format == 0) return damaged("its format is 0");
  if (!ParseQuietly(summed.substr(kHeadBytes), message)) {
    return damaged("it holds no " + message->GetTypeName());
  }
  return Status::OK();
}

}  // namespace millrace
