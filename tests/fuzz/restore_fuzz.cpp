// What a restart reads, from damaged bytes: it is taken over or refused, and what was taken over
// can be computed on. The first byte says what the rest is. Where a checksum guards bytes, the
// right one is put to them as well, so that what stands behind it is reached.
#include <arrow/filesystem/mockfs.h>
#include <xxhash.h>

#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/recovery_plan.h"
#include "engine/outbox/segment.h"
#include "engine/over/over_testing.h"
#include "engine/storage/checksum.h"
#include "engine/storage/little_endian.h"
#include "engine/storage/sealed_message.h"
#include "engine/windows/state_entry.h"
#include "engine/windows/window_header.h"
#include "engine/windows/window_state_rows.h"
#include "tests/fuzz/seeds.h"

namespace millrace {
namespace {

enum Kind : uint8_t {
  kHeader,
  kHeaderInside,
  kPanes,
  kSessions,
  kEntries,
  kManifest,
  kManifestInside,
  kLogEntryInside,
  kRecords,
  kRecordsInside,
  kRows,
  kOver,
  kKinds
};

constexpr SealedKind kManifestKind = {"MILLRACE", kManifestFormat, "checkpoint_damaged"};
constexpr SealedKind kEntryKind = {"MILLRLOG", 1, "log_damaged"};
constexpr int64_t kOutputBatchesMax = 200;

std::string Sealed(const SealedKind& kind, std::string_view message) {
  std::string bytes(kind.magic);
  AppendLittleEndian<uint32_t>(uint32_t(kind.format), &bytes);
  bytes.append(message);
  AppendLittleEndian<uint64_t>(Checksum(bytes), &bytes);
  return bytes;
}

std::string SealedValue(std::string_view key, std::string_view inside) {
  std::string value;
  BeginValue(&value);
  value.append(inside);
  EndValue(key, &value);
  return value;
}

TestQuery PaneQuery() { return StateQuery(); }
TestQuery SessionQuery() {
  TestQuery query = StateQuery();
  query.gap = Micros(20);
  return query;
}

// ---- Window state ------------------------------------------------------------------------------

void ReadHeader(const std::string& bytes) {
  const auto header = WindowHeader::Decode(bytes);
  const std::vector<std::string> twice = {bytes, bytes};
  const auto merged = MergeWindowHeaders(twice, true);
  if (header.ok() != merged.ok()) fuzz::Fail("a header that is good alone and not twice");
  if (header.ok() && header->Encode() != bytes) fuzz::Fail("a header that is written otherwise");
}

// Entries as [length of the key 2][length of the inside 2][key][inside], in any order. The keys'
// operator and the values' checks are put right.
std::unique_ptr<MemoryStateStore> StoreOfEntries(std::string_view bytes,
                                                 const std::string& fingerprint) {
  auto store = std::make_unique<MemoryStateStore>();
  StateBatch batch;
  WindowHeader header;
  header.fingerprint = fingerprint;
  header.chunk = 3;
  header.watermark = At(-1000);
  const std::string own = StateOperatorKey(kTestOperator);
  batch.Put(own, header.Encode());
  while (bytes.size() >= 4) {
    const auto key_size = ReadLittleEndian<uint16_t>(bytes);
    const auto value_size = ReadLittleEndian<uint16_t>(bytes.substr(2));
    bytes.remove_prefix(4);
    const std::string_view rest = bytes.substr(0, key_size);
    bytes.remove_prefix(rest.size());
    const std::string_view inside = bytes.substr(0, value_size);
    bytes.remove_prefix(inside.size());
    const std::string key = own + std::string(rest);
    if (rest.empty()) continue;
    batch.Put(key, SealedValue(key, inside));
  }
  if (!store->Write(std::move(batch)).ok()) fuzz::Fail("the store does not take entries");
  return store;
}

std::string EntriesAsInput(StateStore* store) {
  std::string input;
  for (const auto& [key, value] : EntriesOf(store)) {
    if (key.size() == 2) continue;
    AppendLittleEndian(uint16_t(key.size() - 2), &input);
    AppendLittleEndian(uint16_t(value.size() - 5), &input);
    input += key.substr(2) + value.substr(1, value.size() - 5);
  }
  return input;
}

void DrainSome(KeyedOperator* aggregate) {
  for (int64_t i = 0; i < kOutputBatchesMax && aggregate->HasOutput(); ++i) {
    const auto output = aggregate->NextOutput(64);
    if (!output.ok()) return;  // an entry that only now was read
    if (output->batch == nullptr) fuzz::Fail("it says that there is output and gives none");
    const Status valid = output->batch->ValidateFull();
    if (!valid.ok()) fuzz::Fail("a batch that is none: " + valid.ToString());
  }
}

void GoOnFrom(MemoryStateStore* store, const TestQuery& query) {
  const auto aggregate = query.Make();
  if (!aggregate->Open(store, kTestOperator).ok()) return;
  aggregate->AdvanceTo(At(-300));
  DrainSome(aggregate.get());
  if (aggregate->HasOutput()) return;
  AddRows(aggregate.get(), query, RisingRows(8, 1, 2));
  if (!aggregate->Seal().ok()) return;
  for (;;) {
    const auto more = aggregate->WriteSealed(4);
    if (!more.ok()) return;
    if (!*more) break;
  }
  if (!aggregate->Evict().ok()) return;
  AddRows(aggregate.get(), query, RisingRows(8, 2, 2));
  aggregate->AdvanceTo(kEventTimeMax);
  DrainSome(aggregate.get());
}

// Every way of keeping something between rows: rows looked back at and ahead to, sums and values of
// frames from the first row on, sums that move, values in order, runs of one value.
OverQuery SomeOver() {
  using F = AggregateFunction;
  OverQuery query;
  query.keys = {kDevice, kSmall};
  query.calls = {Plain(OverFunction::kRank),
                 Plain(OverFunction::kLag, kDevice, 2),
                 Plain(OverFunction::kLead, kX, 1),
                 Plain(OverFunction::kFirstValue, kX),
                 Plain(OverFunction::kLastValueIgnoreNulls, kDevice),
                 Plain(OverFunction::kLastValue, kBig, 0, RowsFromFirst(-2)),
                 Plain(OverFunction::kUnchangedRows, kX),
                 Plain(OverFunction::kUnchangedSince, kDevice),
                 Plain(OverFunction::kIsLast, -1, 0, RangeFrame(0, 5)),
                 Of(Aggregate(F::kMax, kDevice, Type::kText), Default()),
                 Of(Aggregate(F::kStddevSamp, kX, Type::kDouble), RowsFrame(-3, 0)),
                 Of(Aggregate(F::kAvg, kBig, Type::kDouble, kFlag), RangeFrame(-9, 4)),
                 Of(Percentile(kX, 0.5), RowsFrame(-5, 0))};
  return query;
}

void AddSome(OverOperator* over, const std::vector<TestRow>& rows) {
  if (!AddTo(over, SomeOver(), rows).ok()) fuzz::Fail("rows are refused");
}

bool WriteSome(OverOperator* over) {
  if (!over->Seal().ok()) return false;
  for (;;) {
    const auto more = over->WriteSealed(4);
    if (!more.ok()) return false;
    if (!*more) return true;
  }
}

void GoOnOver(MemoryStateStore* store) {
  const auto over = SomeOver().Make();
  if (!over->Open(store, kTestOperator).ok()) return;
  over->AdvanceTo(At(-300));
  DrainSome(over.get());
  if (over->HasOutput()) return;
  AddSome(over.get(), RisingRows(8, 1, 2));
  if (!WriteSome(over.get())) return;
  if (!over->Evict().ok()) return;
  AddSome(over.get(), RisingRows(8, 2, 2));
  over->AdvanceTo(kEventTimeMax);
  DrainSome(over.get());
}

// ---- Checkpoints -------------------------------------------------------------------------------

void ReadManifest(const std::string& bytes) {
  proto::Manifest manifest;
  if (!Unseal(kManifestKind, bytes, "manifest", &manifest).ok()) return;
  FilesOf(manifest);
  for (const proto::ReaderState& reader : manifest.readers()) {
    PositionsOf(&manifest, reader.source());
    SourceWatermark(manifest, reader.source());
  }
  const std::vector<const proto::AccountCounts*> accounts = {&manifest.account()};
  SumAccounts(accounts);
  RecoveryFacts facts;
  facts.job = "smoke";
  FoundCheckpoint found;
  found.epoch = Epoch(manifest.epoch());
  found.generation = manifest.generation();
  found.manifest = manifest;
  facts.checkpoints = {found};
  RecoveryWish wish;
  wish.minted = std::string(32, 'a');
  const auto plan = PlanRecovery(facts, wish);
  const bool named = !manifest.generation().empty();
  if (named && plan.ok() && plan->generation.empty()) fuzz::Fail("a plan without a generation");
  wish.savepoint = manifest;
  RecoveryFacts fresh;
  fresh.job = "smoke";
  const auto from_savepoint = PlanRecovery(fresh, wish);
  if (named && from_savepoint.ok() && from_savepoint->generation.empty()) {
    fuzz::Fail("a plan without a generation");
  }
}

void ReadLogEntry(const std::string& bytes) {
  proto::LogEntry entry;
  if (!Unseal(kEntryKind, bytes, "entry", &entry).ok()) return;
  if (!Seal(kEntryKind, entry).ok()) fuzz::Fail("an entry that was read cannot be written");
}

// ---- Segments ----------------------------------------------------------------------------------

// Storage that holds one segment of these bytes.
struct StoredSegment {
  explicit StoredSegment(const std::string& bytes) {
    const auto filesystem =
        std::make_shared<arrow::fs::internal::MockFileSystem>(arrow::fs::TimePoint{});
    storage = CheckpointStorage::Open(filesystem, "root").ValueOrDie();
    if (!filesystem->CreateFile("root/outbox/s", bytes).ok()) fuzz::Fail("no file");
    segment.mutable_file()->set_path("outbox/s");
    segment.mutable_file()->set_bytes(int64_t(bytes.size()));
    segment.set_rows(3);
  }
  std::unique_ptr<CheckpointStorage> storage;
  proto::Segment segment;
};

void ReadRecords(const std::string& bytes) {
  const StoredSegment stored(bytes);
  for (const int64_t skipped : {0, 2}) {
    auto reader = RecordSegmentReader::Open(stored.storage.get(), stored.segment);
    if (!reader.ok()) return;
    if (skipped > 0 && !(*reader)->Skip(skipped).ok()) return;
    for (;;) {
      const auto record = (*reader)->Next();
      if (!record.ok() || !record->has_value()) break;
      const std::string key((*record)->key);
      const std::string value((*record)->value);
    }
  }
}

void ReadRows(const std::string& bytes) {
  const StoredSegment stored(bytes);
  const Status read = ReadRowSegment(
      stored.storage.get(), stored.segment,
      [](const std::shared_ptr<arrow::RecordBatch>& batch) { return batch->ValidateFull(); });
  if (read.ok() && bytes.empty()) fuzz::Fail("an empty segment was read");
}

// A file of blocks: each [length 2][payload] of the input, with the right checksum.
std::string BlocksOf(std::string_view input) {
  std::string bytes("MILLRREC");
  AppendLittleEndian<uint32_t>(1, &bytes);
  uint64_t number = 0;
  const auto append = [&](std::string_view payload) {
    AppendLittleEndian(uint32_t(payload.size()), &bytes);
    AppendLittleEndian<uint64_t>(XXH3_64bits_withSeed(payload.data(), payload.size(), number++),
                                 &bytes);
    bytes.append(payload);
  };
  while (input.size() > 2) {
    const auto size = ReadLittleEndian<uint16_t>(input);
    const std::string_view payload = input.substr(2, size);
    input.remove_prefix(2 + payload.size());
    if (!payload.empty()) append(payload);
  }
  append("");
  return bytes;
}

std::string WrittenRows() {
  const auto filesystem =
      std::make_shared<arrow::fs::internal::MockFileSystem>(arrow::fs::TimePoint{});
  const auto storage = CheckpointStorage::Open(filesystem, "root").ValueOrDie();
  const auto batch = ToBatch(RisingRows(3, 1, 2));
  const auto writer =
      RowSegmentWriter::Make(storage->Create("outbox/s").ValueOrDie(), batch->schema())
          .ValueOrDie();
  if (!writer->Append(*batch).ok() || !writer->Finish().ok()) {
    fuzz::Fail("a segment is not written");
  }
  const auto file = filesystem->OpenInputFile("root/outbox/s").ValueOrDie();
  return file->ReadAt(0, file->GetSize().ValueOrDie()).ValueOrDie()->ToString();
}

std::string WrittenRecords() {
  const auto filesystem =
      std::make_shared<arrow::fs::internal::MockFileSystem>(arrow::fs::TimePoint{});
  const auto storage = CheckpointStorage::Open(filesystem, "root").ValueOrDie();
  RecordSegmentWriter writer(storage->Create("outbox/s").ValueOrDie());
  for (const char* topic : {"a", "b", "a"}) {
    OutboxRecord record;
    record.topic = topic;
    record.has_key = true;
    record.key = "key";
    record.value = "{\"x\":1}";
    record.timestamp_ms = -5;
    record.headers = {{"name", "value"}};
    if (!writer.Append(record).ok()) fuzz::Fail("a record is refused");
  }
  if (!writer.Finish().ok()) fuzz::Fail("a segment is not written");
  const auto file = filesystem->OpenInputFile("root/outbox/s").ValueOrDie();
  return file->ReadAt(0, file->GetSize().ValueOrDie()).ValueOrDie()->ToString();
}

proto::Manifest SomeManifest() {
  proto::Manifest manifest;
  manifest.set_format(1);
  manifest.set_job("smoke");
  manifest.set_generation(std::string(32, 'a'));
  manifest.set_term(3);
  manifest.set_epoch(7);
  manifest.set_key_groups(kKeyGroupCount);
  manifest.set_sink_shards(4);
  proto::ReaderState* const reader = manifest.add_readers();
  reader->set_source("readings");
  reader->set_forwarded(1);
  proto::PartitionPosition* const position = reader->add_partitions();
  position->set_topic("t");
  position->set_next_offset(5);
  proto::TaskState* const task = manifest.add_tasks();
  task->add_files()->set_path("state/1.sst");
  proto::ShardState* const shard = manifest.add_shards();
  shard->add_segments()->mutable_file()->set_path("outbox/1");
  manifest.mutable_account()->add_streams()->set_stream("readings");
  return manifest;
}

std::string Input(Kind kind, const std::string& rest) { return char(kind) + rest; }

}  // namespace

std::vector<std::string> fuzz::Seeds() {
  std::vector<std::string> seeds;
  for (const Kind kind : {kPanes, kSessions}) {
    const TestQuery query = kind == kPanes ? PaneQuery() : SessionQuery();
    MemoryStateStore store;
    const auto aggregate = OpenOver(&store, query);
    AddRows(aggregate.get(), query, RisingRows(6, 5, 2));
    SealAndWrite(aggregate.get());
    seeds.push_back(Input(kind, EntriesAsInput(&store)));
    AddRows(aggregate.get(), query, RisingRows(6, 6, 2));
    SealAndWrite(aggregate.get());
    if (!aggregate->Evict().ok()) Fail("state is not evicted");
    seeds.push_back(Input(kind, EntriesAsInput(&store)));
    seeds.push_back(Input(kEntries, store.Serialise()));
    WindowHeader header;
    header.fingerprint = aggregate->Fingerprint();
    const std::string bytes = header.Encode();
    seeds.push_back(Input(kHeader, bytes));
    seeds.push_back(Input(kHeaderInside, bytes.substr(1, bytes.size() - 5)));
  }
  MemoryStateStore store;
  const auto over = OpenOver(&store, SomeOver());
  for (const uint64_t seed : {5, 6}) {
    AddSome(over.get(), RisingRows(20, seed, 2));
    over->AdvanceTo(At(-285));
    DrainSome(over.get());
    if (!WriteSome(over.get())) Fail("rows are not sealed");
    seeds.push_back(Input(kOver, EntriesAsInput(&store)));
  }
  const proto::Manifest manifest = SomeManifest();
  seeds.push_back(Input(kManifest, Sealed(kManifestKind, manifest.SerializeAsString())));
  seeds.push_back(Input(kManifestInside, manifest.SerializeAsString()));
  proto::LogEntry entry;
  entry.set_term(3);
  seeds.push_back(Input(kLogEntryInside, entry.SerializeAsString()));
  const std::string records = WrittenRecords();
  seeds.push_back(Input(kRecords, records));
  const std::string_view block = std::string_view(records).substr(12);
  const auto size = ReadLittleEndian<uint32_t>(block);
  std::string inside;
  AppendLittleEndian(uint16_t(size), &inside);
  seeds.push_back(Input(kRecordsInside, inside + std::string(block.substr(12, size))));
  seeds.push_back(Input(kRows, WrittenRows()));
  return seeds;
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  if (size == 0) return 0;
  const std::string rest(fuzz::View(data, size).substr(1));
  switch (data[0] % kKinds) {
    case kHeader:
      ReadHeader(rest);
      break;
    case kHeaderInside:
      ReadHeader(SealedValue(std::string_view("\0\0", 2), rest));
      break;
    case kPanes:
      GoOnFrom(StoreOfEntries(rest, PaneQuery().Make()->Fingerprint()).get(), PaneQuery());
      break;
    case kSessions:
      GoOnFrom(StoreOfEntries(rest, SessionQuery().Make()->Fingerprint()).get(), SessionQuery());
      break;
    case kOver:
      GoOnOver(StoreOfEntries(rest, SomeOver().Make()->Fingerprint()).get());
      break;
    case kEntries: {
      MemoryStateStore store;
      if (store.Restore(rest).ok()) GoOnFrom(&store, PaneQuery());
      break;
    }
    case kManifest:
      ReadManifest(rest);
      break;
    case kManifestInside:
      ReadManifest(Sealed(kManifestKind, rest));
      break;
    case kLogEntryInside:
      ReadLogEntry(Sealed(kEntryKind, rest));
      break;
    case kRecords:
      ReadRecords(rest);
      break;
    case kRecordsInside:
      ReadRecords(BlocksOf(rest));
      break;
    default:
      ReadRows(rest);
  }
  return 0;
}
