// The first inputs of a libFuzzer program, once each, in an ordinary build: what they find needs no
// search, and the program goes on compiling.
#include "tests/fuzz/seeds.h"

#include <gtest/gtest.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace millrace::fuzz {
namespace {

TEST(Seeds, AreTakenOrRefused) {
  const std::vector<std::string> seeds = Seeds();
  ASSERT_FALSE(seeds.empty());
  for (const std::string& seed : seeds) {
    EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(seed.data()), seed.size()),
              0);
  }
}

}  // namespace
}  // namespace millrace::fuzz
