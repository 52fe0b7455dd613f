// Whether bytes are UTF-8, by Arrow's validator, which needs its tables set up before its first use
// (without that it takes anything).
#pragma once

#include <arrow/util/utf8.h>

#include <string_view>

namespace millrace {

inline bool IsUtf8(std::string_view bytes) {
  static const bool ready = (arrow::util::InitializeUTF8(), true);
  return ready && arrow::util::ValidateUTF8(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            int64_t(bytes.size()));
}

}  // namespace millrace
