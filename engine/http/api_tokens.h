// Who may ask what of an API: bearer tokens with a role, from a file. docs/admin-api.md.
//
//   # comment
//   NAME ROLE TOKEN      a line each; ROLE: viewer, operator
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/env/file_stamp.h"

namespace millrace {

enum class ApiRole { kViewer, kOperator };

struct ApiToken {
  std::string name;  // of who has it, for the log
  ApiRole role = ApiRole::kViewer;
  std::string token;
};

// "api_tokens" (user): names the file and the line, and what was expected there.
Result<std::vector<ApiToken>> ParseApiTokens(const std::string& file_name, std::string_view text);

// All methods may be called from any thread.
class ApiTokens {
 public:
  // "api_tokens" (user): also a file that cannot be read.
  static Result<std::unique_ptr<ApiTokens>> Load(std::string file);

  // Who sent this Authorization header: none where the token is unknown, or the header is none.
  // The file is read again first if it has changed; where it cannot be used, the tokens before it
  // stay, and `warning` says why, once for each change. Takes the same time whatever the token.
  std::optional<ApiToken> Find(std::string_view authorization, Status* warning);

 private:
  explicit ApiTokens(std::string file) : file_(std::move(file)) {}
  static Result<std::vector<ApiToken>> Read(const std::string& file);

  const std::string file_;
  std::mutex mutex_;
  // Guarded by mutex_.
  FileStamp stamp_;  // of what was last read or tried
  std::vector<ApiToken> tokens_;
};

}  // namespace millrace
