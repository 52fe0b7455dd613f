// What a libFuzzer program begins with: inputs that reach far, made from the project's own test
// data. A program that is started with MILLRACE_FUZZ_SEEDS=FOLDER writes them there and ends
// (write_seeds.cpp); tools/dev fuzz does so before each run. The test command takes each of them
// once (seeds_test.cpp).
//
// A program defines LLVMFuzzerTestOneInput and Seeds().
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::fuzz {

// Defined by each program.
std::vector<std::string> Seeds();

// A file of the project, by its path from the root; ends the program where it cannot be read.
std::string ReadSource(const std::string& path);
// The files of a folder of the project with this ending, as paths from the root, by name.
std::vector<std::string> ListSources(const std::string& folder, const std::string& ending);

// What is behind each line that begins with `mark`, up to the next line that begins with one of
// `ends`.
std::vector<std::string> Sections(const std::string& text, std::string_view mark,
                                  const std::vector<std::string>& ends);

// Ends the program: what must hold does not.
[[noreturn]] void Fail(const std::string& what);

inline std::string_view View(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace millrace::fuzz
