#include "engine/windows/key_hash.h"

#include <xxhash.h>

#include "engine/windows/column_reader.h"

namespace millrace {
namespace {

// What a null is hashed as; its length is that of no fixed-width value.
constexpr char kNullBytes[] = "millrace null key";

uint64_t HashFixed(uint64_t bits, uint64_t seed) {
  if constexpr (std::endian::native == std::endian::big) bits = __builtin_bswap64(bits);
  return XXH3_64bits_withSeed(&bits, sizeof(bits), seed);
}

// Each column's hash is the seed of the next one's.
void HashColumn(const ColumnReader& column, std::vector<uint64_t>* hashes) {
  for (size_t row = 0; row < hashes->size(); ++row) {
    uint64_t& hash = (*hashes)[row];
    if (column.IsNull(int64_t(row))) {
      hash = XXH3_64bits_withSeed(kNullBytes, sizeof(kNullBytes), hash);
    } else if (column.is_text()) {
      const std::string_view text = column.Text(int64_t(row));
      hash = XXH3_64bits_withSeed(text.data(), text.size(), hash);
    } else {
      hash = HashFixed(column.Fixed(int64_t(row)), hash);
    }
  }
}

}  // namespace

Status HashKeys(const arrow::RecordBatch& batch, const std::vector<int>& key_columns,
                std::vector<uint64_t>* hashes) {
  hashes->assign(size_t(batch.num_rows()), 0);
  for (const int index : key_columns) {
    ARROW_ASSIGN_OR_RAISE(const ColumnReader column, ColumnReader::Make(*batch.column(index)));
    HashColumn(column, hashes);
  }
  return Status::OK();
}

}  // namespace millrace
