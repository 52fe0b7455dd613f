// Numbers as to_char writes them by a template. Point, groups and signs are those of the C locale:
// '.', ',', '+', '-', and a space for the currency.
#pragma once

#include <cstdint>
#include <string>

#include "engine/plan/number_template.h"

namespace millrace {

// Writes numbers by one template; keeps its memory. Used by one thread.
class NumberFormat {
 public:
  explicit NumberFormat(NumberTemplate read) : template_(std::move(read)) {}

  // Set `out` to what the template makes of `value`. False where TH is asked of what is no number
  // (NaN, infinity).
  bool Write(int32_t value, std::string* out);
  bool Write(int64_t value, std::string* out);
  bool Write(float value, std::string* out);
  bool Write(double value, std::string* out);

 private:
  template <typename T>
  bool WriteInteger(T value, std::string* out);
  template <typename T>
  bool WriteFloat(T value, std::string* out);
  bool WriteRoman(int64_t value, std::string* out);
  // The digits, with the room that the template has for them.
  bool Lay(bool negative, int before, int after, std::string* out);

  const NumberTemplate template_;
  std::string digits_;  // of one number: "123.40"
};

}  // namespace millrace
