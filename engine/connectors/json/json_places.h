// The places of a message that columns are read from, as a tree of keys and items: place 0 is the
// message, others stand below the one that holds them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace millrace {

class JsonPlaces {
 public:
  static constexpr int kMessage = 0;
  static constexpr int kUnused = -1;  // no column's
  static constexpr int kBadKey = -2;

  // Column number `column` is read from `from`: a key's name or a path (engine/model/json_path.h).
  // Returns the column that was read from the same place before, or -1.
  int Add(const std::string& from, int column);

  // Where a key (between its quotes, escapes unresolved) or an item of `place` leads; kBadKey where
  // an escape is wrong.
  int OfKey(int place, std::string_view raw);
  int OfItem(int place, int64_t index) const;

  size_t size() const { return places_.size(); }
  // The last column that was added for the place; -1: none.
  int column(int place) const { return places_[size_t(place)].column; }
  // Columns below the place.
  const std::vector<int>& inner(int place) const { return places_[size_t(place)].inner; }

 private:
  struct Place {
    std::unordered_map<std::string, int> keys;
    std::unordered_map<int64_t, int> items;
    int column = -1;
    std::vector<int> inner;
  };

  std::vector<Place> places_ = std::vector<Place>(1);
  std::string scratch_;
};

}  // namespace millrace
