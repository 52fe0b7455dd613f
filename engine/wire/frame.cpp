#include "engine/wire/frame.h"

#include "engine/connectors/source.h"

namespace millrace {

int64_t ApproximateBytes(const Rows& rows) {
  if (rows.batch == nullptr) return 0;
  int64_t bytes = 64;
  for (const auto& column : rows.batch->column_data()) {
    for (const auto& buffer : column->buffers) {
      if (buffer != nullptr) bytes += buffer->size();
    }
  }
  if (rows.originals != nullptr) bytes += rows.originals->bytes();
  return bytes;
}

}  // namespace millrace
