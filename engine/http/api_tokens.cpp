#include "engine/http/api_tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>

#include "engine/base/diagnostics.h"

namespace millrace {
namespace {

constexpr size_t kTokenMin = 16;
constexpr size_t kTokenMax = 256;
constexpr size_t kTokensMax = 1000;
constexpr std::string_view kScheme = "Bearer ";

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

Digest DigestOf(std::string_view token) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  return digest;
}

Status BadTokens(const std::string& file, size_t line, const std::string& what) {
  return UserError("api_tokens", file + ":" + std::to_string(line) + ": " + what);
}

std::vector<std::string> WordsOf(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(std::move(word));
  return words;
}

}  // namespace

Result<std::vector<ApiToken>> ParseApiTokens(const std::string& file_name, std::string_view text) {
  std::vector<ApiToken> tokens;
  std::set<std::string> seen;
  std::istringstream lines{std::string(text)};
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::vector<std::string> words = WordsOf(line);
    if (words.empty() || words[0].starts_with('#')) continue;
    if (words.size() != 3) {
      return BadTokens(
          file_name, number,
          "expected NAME ROLE TOKEN, found " + std::to_string(words.size()) + " words");
    }
    ApiToken token{words[0], ApiRole::kViewer, words[2]};
    if (words[1] == "operator") {
      token.role = ApiRole::kOperator;
    } else if (words[1] != "viewer") {
      const std::vector<std::string> roles = {"viewer", "operator"};
      const std::string nearest = NearestName(words[1], roles);
      return BadTokens(file_name, number,
                       "there is no role '" + words[1] + "': expected viewer or operator" +
                           (nearest.empty() ? "" : "; do you mean " + nearest) +
                           (nearest.empty() ? "" : "?"));
    }
    if (token.token.size() < kTokenMin || token.token.size() > kTokenMax) {
      return BadTokens(file_name, number,
                       "the token of '" + token.name + "' has " +
                           std::to_string(token.token.size()) + " characters; expected 16 to 256");
    }
    if (!seen.insert(token.token).second) {
      return BadTokens(file_name, number, "the token of '" + token.name + "' is there twice");
    }
    if (tokens.size() == kTokensMax) {
      return BadTokens(file_name, number, "more than 1000 tokens");
    }
    tokens.push_back(std::move(token));
  }
  if (tokens.empty()) {
    return BadTokens(file_name, number + 1, "no token is there: expected NAME ROLE TOKEN");
  }
  return tokens;
}

Result<std::vector<ApiToken>> ApiTokens::Read(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::stringstream text;
  if (!stream || !(text << stream.rdbuf())) {
    return UserError("api_tokens", "cannot read the tokens in '" + file + "'");
  }
  return ParseApiTokens(file, text.str());
}

Result<std::unique_ptr<ApiTokens>> ApiTokens::Load(std::string file) {
  std::unique_ptr<ApiTokens> tokens(new ApiTokens(std::move(file)));
  tokens->stamp_ = FileStamp::Of(tokens->file_);
  ARROW_ASSIGN_OR_RAISE(tokens->tokens_, Read(tokens->file_));
  return tokens;
}

std::optional<ApiToken> ApiTokens::Find(std::string_view authorization, Status* warning) {
  const std::lock_guard lock(mutex_);
  // Before reading: what changes meanwhile is found the next time.
  const FileStamp stamp = FileStamp::Of(file_);
  if (stamp != stamp_) {
    stamp_ = stamp;
    Result<std::vector<ApiToken>> read = Read(file_);
    if (read.ok()) {
      tokens_ = *std::move(read);
    } else {
      *warning = WithContext(read.status(), "changed tokens; the old ones stay in force");
    }
  }
  if (!authorization.starts_with(kScheme)) return std::nullopt;
  const Digest wanted = DigestOf(authorization.substr(kScheme.size()));
  std::optional<ApiToken> found;
  for (const ApiToken& token : tokens_) {
    const Digest digest = DigestOf(token.token);
    if (CRYPTO_memcmp(digest.data(), wanted.data(), digest.size()) == 0) found = token;
  }
  return found;
}

}  // namespace millrace
