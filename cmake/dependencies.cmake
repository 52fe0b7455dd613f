# Every third-party package, found once, as an imported target `millrace::NAME`.
# Versions are pinned in tools/dependencies/; Debian's packages fix the rest.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# A fast linker and a compiler cache where they are installed.
find_program(MILLRACE_MOLD mold)
if(MILLRACE_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
find_program(MILLRACE_CCACHE ccache)
if(MILLRACE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    ${MILLRACE_CCACHE})
  # So that the cache sees through a precompiled header.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  else()
    add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  endif()
endif()

function(millrace_import NAME)
  cmake_parse_arguments(IMPORT "" "HEADER" "LIBRARIES" ${ARGN})
  add_library(millrace_import_${NAME} INTERFACE)
  add_library(millrace::${NAME} ALIAS millrace_import_${NAME})
  foreach(library ${IMPORT_LIBRARIES})
    find_library(MILLRACE_LIBRARY_${library} ${library} REQUIRED)
    target_link_libraries(millrace_import_${NAME} INTERFACE ${MILLRACE_LIBRARY_${library}})
  endforeach()
  if(IMPORT_HEADER)
    find_path(MILLRACE_HEADER_${NAME} ${IMPORT_HEADER} REQUIRED)
  endif()
endfunction()

# Arrow: an installed one where find_package finds it, else the pinned pyarrow wheel in .venv,
# which carries libraries and headers.
find_package(Arrow QUIET)
add_library(millrace_import_arrow INTERFACE)
add_library(millrace::arrow ALIAS millrace_import_arrow)
add_library(millrace_import_parquet INTERFACE)
add_library(millrace::parquet ALIAS millrace_import_parquet)
if(Arrow_FOUND)
  find_package(Parquet REQUIRED)
  find_package(ArrowCompute QUIET)
  target_link_libraries(millrace_import_arrow INTERFACE Arrow::arrow_shared)
  if(TARGET ArrowCompute::arrow_compute_shared)
    target_link_libraries(millrace_import_arrow INTERFACE ArrowCompute::arrow_compute_shared)
  endif()
  target_link_libraries(millrace_import_parquet INTERFACE Parquet::parquet_shared)
else()
  file(GLOB MILLRACE_PYARROW_DIRS "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/pyarrow")
  list(LENGTH MILLRACE_PYARROW_DIRS MILLRACE_PYARROW_COUNT)
  if(NOT MILLRACE_PYARROW_COUNT EQUAL 1)
    message(FATAL_ERROR "Arrow C++ was not found: run tools/dev setup (it installs the pinned pyarrow wheel)")
  endif()
  set(MILLRACE_PYARROW "${MILLRACE_PYARROW_DIRS}")
  # The wheel has versioned names only (libarrow.so.2600); link by full path.
  function(millrace_wheel_library TARGET NAME)
    file(GLOB library "${MILLRACE_PYARROW}/lib${NAME}.so.*")
    list(GET library 0 library)
    target_link_libraries(${TARGET} INTERFACE "${library}")
    install(FILES "${library}" DESTINATION lib/millrace)
  endfunction()
  target_include_directories(millrace_import_arrow SYSTEM INTERFACE "${MILLRACE_PYARROW}/include")
  millrace_wheel_library(millrace_import_arrow arrow)
  millrace_wheel_library(millrace_import_arrow arrow_compute)
  millrace_wheel_library(millrace_import_parquet parquet)
  list(APPEND CMAKE_BUILD_RPATH "${MILLRACE_PYARROW}")
  list(APPEND CMAKE_INSTALL_RPATH "$ORIGIN/../lib/millrace")
endif()
target_link_libraries(millrace_import_parquet INTERFACE millrace_import_arrow)

millrace_import(caf HEADER caf/all.hpp LIBRARIES caf_core)
target_link_libraries(millrace_import_caf INTERFACE Threads::Threads)
if(MILLRACE_SANITIZE MATCHES undefined)
  # CAF 0.17 binds a reference to an empty tuple through a null pointer whenever a function without
  # arguments is spawned (init_fun_factory.hpp).
  target_compile_options(millrace_import_caf INTERFACE -fno-sanitize=null)
endif()
millrace_import(rdkafka HEADER librdkafka/rdkafka.h LIBRARIES rdkafka)
millrace_import(rocksdb HEADER rocksdb/db.h LIBRARIES rocksdb)
millrace_import(protobuf HEADER google/protobuf/message.h LIBRARIES protobuf)
target_link_libraries(millrace_import_protobuf INTERFACE Threads::Threads)
find_program(MILLRACE_PROTOC protoc REQUIRED)
millrace_import(pg_query HEADER pg_query.h LIBRARIES pg_query)
# libarrow_compute exports the symbols of an RE2 of its own, of another version. Ours is part of the
# program, as a whole, so that none of them is taken from there, and nothing else sees it.
find_library(MILLRACE_RE2_ARCHIVE libre2.a REQUIRED)
millrace_import(re2 HEADER re2/re2.h)
target_link_libraries(millrace_import_re2 INTERFACE
  "$<LINK_LIBRARY:WHOLE_ARCHIVE,${MILLRACE_RE2_ARCHIVE}>" Threads::Threads)
target_link_options(millrace_import_re2 INTERFACE "-Wl,--exclude-libs,libre2.a")
# Time zones. Its names carry its version, so that it and another one in libarrow are two things.
find_package(absl REQUIRED)
add_library(millrace_import_absl_time INTERFACE)
add_library(millrace::absl_time ALIAS millrace_import_absl_time)
target_link_libraries(millrace_import_absl_time INTERFACE absl::time)
millrace_import(simdjson HEADER simdjson.h LIBRARIES simdjson)
# libarrow and libparquet export the symbols of a simdjson of their own, of another version. Ours must be found
# first, or the decoder would run one version's code on the other's objects; so it leads the link
# line of whatever links Arrow. (Arrow uses its own only for Parquet columns of type JSON and
# variant, which no job has.)
target_link_options(millrace_import_arrow INTERFACE "${MILLRACE_LIBRARY_simdjson}")
millrace_import(fast_float HEADER fast_float/fast_float.h)
millrace_import(yaml HEADER yaml-cpp/yaml.h LIBRARIES yaml-cpp)
millrace_import(cli11 HEADER CLI/CLI.hpp)
millrace_import(httplib HEADER httplib.h LIBRARIES cpp-httplib ssl crypto)
target_link_libraries(millrace_import_httplib INTERFACE Threads::Threads)
# As Debian's library was compiled: its classes have other members without it. (Of its other two
# options, for compression, they do not know.)
target_compile_definitions(millrace_import_httplib INTERFACE CPPHTTPLIB_OPENSSL_SUPPORT)
millrace_import(asio HEADER asio.hpp)
target_link_libraries(millrace_import_asio INTERFACE Threads::Threads)
millrace_import(openssl HEADER openssl/ssl.h LIBRARIES ssl crypto)
# libparquet exports the symbols of an OpenSSL of its own, of another version, and libssl's calls of
# libcrypto would be bound to them (loading the system's certificates crashes then). Ours must be
# found first, as simdjson above; Arrow uses its own only for encrypted Parquet files.
target_link_options(millrace_import_parquet INTERFACE
  "${MILLRACE_LIBRARY_ssl}" "${MILLRACE_LIBRARY_crypto}")
millrace_import(prometheus HEADER prometheus/registry.h LIBRARIES prometheus-cpp-core)
millrace_import(xxhash HEADER xxhash.h LIBRARIES xxhash)
millrace_import(jemalloc HEADER jemalloc/jemalloc.h LIBRARIES jemalloc)
find_package(spdlog REQUIRED)
add_library(millrace_import_spdlog INTERFACE)
add_library(millrace::spdlog ALIAS millrace_import_spdlog)
target_link_libraries(millrace_import_spdlog INTERFACE spdlog::spdlog)

if(MILLRACE_BUILD_TESTS OR MILLRACE_FUZZ)
  find_package(GTest REQUIRED)
  add_library(millrace_import_gtest_main INTERFACE)
  add_library(millrace::gtest_main ALIAS millrace_import_gtest_main)
  target_link_libraries(millrace_import_gtest_main INTERFACE GTest::gmock GTest::gtest_main)
endif()
if(MILLRACE_BUILD_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
