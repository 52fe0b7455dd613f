#include "engine/model/rows.h"

namespace millrace {

std::string_view RowKindName(RowKind kind) {
  switch (kind) {
    case RowKind::kOnTime:
      return "on_time";
    case RowKind::kRunning:
      return "running";
    case RowKind::kCorrection:
      return "correction";
  }
  return "";
}

}  // namespace millrace
