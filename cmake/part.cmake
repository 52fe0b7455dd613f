# millrace_part(NAME SOURCES ... LINKS ... TESTS ... TEST_LINKS ...)
#
# One part of the layout: a static library `millrace_NAME` that links only what it declares, and,
# where it has tests, one test program `NAME_test` registered with CTest. Warnings are errors in
# our own code; headers of others are system headers.
add_library(millrace_compile_options INTERFACE)
target_compile_options(millrace_compile_options INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Wno-unused-parameter)
target_include_directories(millrace_compile_options INTERFACE "${CMAKE_SOURCE_DIR}")
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Loops over columns use & where && would be a branch.
  target_compile_options(millrace_compile_options INTERFACE
    -Wno-bitwise-conditional-parentheses -Wno-bitwise-instead-of-logical)
endif()
if(MILLRACE_FUZZ)
  target_compile_options(millrace_compile_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(MILLRACE_SANITIZE)
  target_compile_options(millrace_compile_options INTERFACE
    -fsanitize=${MILLRACE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined
    -fno-sanitize=vptr)
  # g++ says so itself: its instrumentation makes this warning wrong about variants and optionals.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(millrace_compile_options INTERFACE -Wno-maybe-uninitialized)
  endif()
  target_link_options(millrace_compile_options INTERFACE -fsanitize=${MILLRACE_SANITIZE})
endif()

# One precompiled header for all parts: Arrow's API is what every part includes and what costs
# most to parse. A library of its own so that it is compiled once.
# Written only where it is not there: a newer one has all of the parts compiled again.
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/pch.cpp" CONTENT "")
add_library(millrace_pch OBJECT "${CMAKE_BINARY_DIR}/pch.cpp")
target_link_libraries(millrace_pch PUBLIC millrace_compile_options millrace::arrow)
target_precompile_headers(millrace_pch PRIVATE
  <algorithm> <chrono> <cstdint> <functional> <map> <memory> <optional> <span> <string>
  <string_view> <unordered_map> <utility> <variant> <vector> <arrow/api.h>)

function(millrace_part NAME)
  cmake_parse_arguments(PART "" "" "SOURCES;LINKS;TESTS;TEST_LINKS" ${ARGN})
  add_library(millrace_${NAME} STATIC ${PART_SOURCES})
  target_link_libraries(millrace_${NAME} PUBLIC millrace_compile_options ${PART_LINKS})
  millrace_use_pch(millrace_${NAME})
  if(MILLRACE_BUILD_TESTS AND PART_TESTS)
    add_executable(${NAME}_test ${PART_TESTS})
    target_link_libraries(${NAME}_test PRIVATE millrace_${NAME} ${PART_TEST_LINKS}
      millrace::gtest_main)
    millrace_use_pch(${NAME}_test)
    set_target_properties(${NAME}_test PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
    add_test(NAME ${NAME}_test COMMAND ${NAME}_test)
  endif()
endfunction()

# A program of ours: jemalloc is part of the design (docs/performance.md), except under sanitizers.
function(millrace_program NAME)
  cmake_parse_arguments(PROGRAM "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${NAME} ${PROGRAM_SOURCES})
  target_link_libraries(${NAME} PRIVATE millrace_compile_options ${PROGRAM_LINKS})
  if(NOT MILLRACE_SANITIZE)
    target_link_libraries(${NAME} PRIVATE millrace::jemalloc)
  endif()
  millrace_use_pch(${NAME})
  set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
endfunction()

function(millrace_use_pch TARGET)
  target_link_libraries(${TARGET} PRIVATE millrace::arrow)
  target_precompile_headers(${TARGET} REUSE_FROM millrace_pch)
endfunction()
