// Numbers as people read them in a table. Negative means "not known" in the messages, and is "-".
#pragma once

#include <cstdint>
#include <string>

namespace millrace {

// "0.8s", "42s", "3m12s", "5h7m", "3d4h".
std::string FormatSeconds(double seconds);
// "812", "12345", "1.2M", "3.4G": exact up to 99,999.
std::string FormatCount(int64_t count);
// "812 B", "12.3 KiB", "1.5 GiB".
std::string FormatBytes(int64_t bytes);

}  // namespace millrace
