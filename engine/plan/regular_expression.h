// Regular expressions in PostgreSQL's syntax (its "advanced" one), on RE2, which takes time in
// proportion to the text, whatever the pattern. What RE2 has no equivalent for (back references,
// looking ahead, \m and \M) is refused, and so is what means another thing to RE2 (\b, \Q, \p,
// `{2` without an end). As in PostgreSQL the longest match is taken; where a pattern holds a
// non-greedy quantifier, the one that Perl would take.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>

namespace millrace {

inline constexpr size_t kPatternBytesMax = 10'000;

// Null where the pattern cannot be used; then `error` says why. `flags`: i (any letter case), c
// (not), g (allowed where `global` is given, and set there); others are refused.
std::unique_ptr<RE2> CompilePattern(std::string_view pattern, std::string_view flags, bool* global,
                                    std::string* error);

// PostgreSQL's replacement (\1 to \9, \& for the whole match, \\) as RE2's rewriting has it, for an
// expression of so many groups: others are empty. A backslash before anything else stands for
// itself.
std::string RewriteOf(std::string_view replacement, int groups);

// SIMILAR TO as a regular expression for the whole text.
std::string PatternOfSimilar(std::string_view pattern);

}  // namespace millrace
