#include "engine/connectors/files/file_register.h"

namespace millrace {

Result<std::optional<proto::Register>> ReadFileRegister(RollWriter* writer) {
  ARROW_ASSIGN_OR_RAISE(const auto bytes, writer->ReadRegister());
  if (!bytes.has_value()) return std::optional<proto::Register>();
  proto::Register state;
  if (!state.ParseFromString(*bytes)) {
    return ExternalError("register_damaged",
                         writer->description() + ": the folder's register cannot be read",
                         Retry::kNo);
  }
  return std::optional<proto::Register>(std::move(state));
}

}  // namespace millrace
