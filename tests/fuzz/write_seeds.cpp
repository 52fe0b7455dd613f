// What a libFuzzer program does before it begins: tests/fuzz/seeds.h.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/fuzz/seeds.h"

// libFuzzer's name for what is called first.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* const folder = std::getenv("MILLRACE_FUZZ_SEEDS");
  if (folder == nullptr) return 0;
  std::filesystem::create_directories(folder);
  int number = 0;
  for (const std::string& seed : millrace::fuzz::Seeds()) {
    std::ofstream file(std::string(folder) + "/seed-" + std::to_string(++number), std::ios::binary);
    file << seed;
  }
  std::exit(0);
}
