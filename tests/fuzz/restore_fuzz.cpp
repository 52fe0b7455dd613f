// What a restart reads, from damaged bytes: it is taken over or refused, and what was taken over
// can be computed on. The first byte says what the rest is. Where a checksum guards bytes, the
// right one is put to them as well, so that what stands behind it is reached.
#include <arrow/filesystem/mockfs.h>
#include <xxhash.h>

#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/recovery_plan.h"
#include "engine/joins/join_testing.h"
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
  kJoin,
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

// `always_gives`: whatever is due brings rows. What a join has to do may be to drop some.
// False: it failed, and with it the task; nothing more is asked of it.
bool DrainSome(KeyedOperator* aggregate, bool always_gives = true) {
  for (int64_t i = 0; i < kOutputBatchesMax && aggregate->HasOutput(); ++i) {
    const auto output = aggregate->NextOutput(64);
    if (!output.ok()) return false;  // an entry that only now was read
    if (output->batch == nullptr && !always_gives) continue;
    if (output->batch == nullptr) fuzz::Fail("it says that there is output and gives none");
    const Status valid = output->batch->ValidateFull();
    if (!valid.ok()) fuzz::Fail("a batch that is none: " + valid.ToString());
  }
  return true;
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

bool WriteSome(KeyedOperator* keyed) {
  if (!keyed->Seal().ok()) return false;
  for (;;) {
    const auto more = keyed->WriteSealed(4);
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

// ---- Joins -------------------------------------------------------------------------------------

// Within a time, before and after, or only after; of equal windows; with the latest row; rows
// without a pair of no side, one side or both; keys of text, numbers, several or none.
const std::vector<JoinNode>& JoinForms() {
  static const std::vector<JoinNode> forms = [] {
    std::vector<JoinNode> all = {JoinOf({In::kName}, -20, 15),
                                 JoinOf({In::kName}, -20, 15),
                                 JoinOf({In::kName, In::kFloor}, -20, 15),
                                 JoinOf({In::kName, In::kWindow}, 0, 0),
                                 JoinOf({In::kName}, -30, 0),
                                 JoinOf({In::kLevel}, -30, 0),
                                 JoinOf({}, 5, 25)};
    all[1].keeps_left = true;
    all[2].keeps_left = all[2].keeps_right = true;
    all[3].keeps_left = all[3].keeps_right = true;
    all[4].latest_only = all[4].keeps_left = true;
    all[5].latest_only = true;
    all[6].keeps_right = all[6].time_is_right = true;
    return all;
  }();
  return forms;
}
constexpr int32_t kJoinTasksMax = 3;

// Times rise, by two a row, out of order by less than 10.
std::vector<JoinRow> RisingJoinRows(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<JoinRow> rows(count);
  for (size_t i = 0; i < count; ++i) {
    JoinRow& row = rows[i];
    row.is_right = random() % 2 == 0;
    row.time = int64_t(i * 2) - 300 + int64_t(random() % 10);
    if (random() % 6 != 0) row.name = "room " + std::to_string(random() % 3);
    if (random() % 6 != 0) row.level = double(random() % 3) - 1;
    if (random() % 6 != 0) row.floor = int32_t(random() % 2);
    if (random() % 6 != 0) row.window = row.time - row.time % 20;
    if (random() % 4 != 0) row.text = "text " + std::to_string(i);
    if (random() % 4 != 0) row.number = int64_t(i);
    if (random() % 4 != 0) row.x = -0.5 * double(i);
  }
  return rows;
}

void AddToJoin(JoinOperator* join, const JoinNode& node, const std::vector<JoinRow>& rows,
               int32_t task, int32_t tasks) {
  const auto batch = JoinBatch(rows);
  std::vector<uint64_t> hashes;
  if (!HashKeys(*batch, node.keys, &hashes).ok()) fuzz::Fail("keys have no hashes");
  std::vector<uint32_t> selection;
  for (uint32_t i = 0; i < rows.size(); ++i) {
    if (TaskOf(KeyGroupOf(hashes[i]), tasks).value() == task) selection.push_back(i);
  }
  if (!join->Add(*batch, hashes, selection).ok()) fuzz::Fail("rows are refused");
}

// What a task gets of what was saved at another parallelism; null: it is refused.
std::unique_ptr<MemoryStateStore> StoreOfTask(StateStore* saved, int32_t task, int32_t tasks) {
  auto store = std::make_unique<MemoryStateStore>();
  const auto first_of = [tasks](int32_t index) {
    int32_t group = 0;
    while (group < kKeyGroupCount && TaskOf(KeyGroup(group), tasks).value() < index) ++group;
    return KeyGroup(group);
  };
  const Status copied =
      CopyKeyGroups(saved, store.get(), kTestOperator, first_of(task), first_of(task + 1));
  if (!copied.ok()) return nullptr;
  const std::vector<std::string> headers = {EntriesOf(saved).front().second};
  auto header = MergeWindowHeaders(headers, /*with_counts=*/task == 0);
  if (!header.ok()) fuzz::Fail("a header that was made is refused");
  StateBatch batch;
  batch.Put(StateOperatorKey(kTestOperator), *std::move(header));
  if (!store->Write(std::move(batch)).ok()) fuzz::Fail("the store does not take entries");
  return store;
}

void GoOnJoin(StateStore* store, const JoinNode& node, int32_t task, int32_t tasks) {
  const auto join = MakeJoin(node);
  if (!join->Open(store, kTestOperator).ok()) return;
  join->AdvanceTo(At(-295));
  if (!DrainSome(join.get(), /*always_gives=*/false) || join->HasOutput()) return;
  AddToJoin(join.get(), node, RisingJoinRows(12, 1), task, tasks);
  if (!WriteSome(join.get())) return;
  if (!join->Evict().ok()) return;
  AddToJoin(join.get(), node, RisingJoinRows(24, 2), task, tasks);
  join->AdvanceTo(At(-270));
  if (!DrainSome(join.get(), /*always_gives=*/false)) return;
  join->AdvanceTo(kEventTimeMax);
  DrainSome(join.get(), /*always_gives=*/false);
}

// [form and number of tasks 1][entries]
void GoOnJoins(std::string_view input) {
  if (input.empty()) return;
  const auto choice = size_t(uint8_t(input.front()));
  const JoinNode& node = JoinForms()[choice % JoinForms().size()];
  const auto tasks = int32_t(choice / JoinForms().size()) % kJoinTasksMax + 1;
  const auto saved = StoreOfEntries(input.substr(1), MakeJoin(node)->Fingerprint());
  if (tasks == 1) return GoOnJoin(saved.get(), node, 0, 1);
  for (int32_t task = 0; task < tasks; ++task) {
    const auto store = StoreOfTask(saved.get(), task, tasks);
    if (store != nullptr) GoOnJoin(store.get(), node, task, tasks);
  }
}

std::vector<std::string> SavedJoins() {
  std::vector<std::string> inputs;
  for (size_t form = 0; form < JoinForms().size(); ++form) {
    const JoinNode& node = JoinForms()[form];
    MemoryStateStore store;
    const auto join = OpenJoin(&store, node);
    for (const uint64_t seed : {5, 6}) {
      AddToJoin(join.get(), node, RisingJoinRows(16, seed), 0, 1);
      join->AdvanceTo(At(seed == 5 ? -290 : -280));
      DrainSome(join.get(), /*always_gives=*/false);
      if (!WriteSome(join.get())) fuzz::Fail("rows are not sealed");
      for (int32_t tasks = 1; tasks <= kJoinTasksMax; ++tasks) {
        const auto choice = char(form + JoinForms().size() * size_t(tasks - 1));
        inputs.push_back(choice + EntriesAsInput(&store));
      }
    }
  }
  return inputs;
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
  for (const std::string& saved : SavedJoins()) seeds.push_back(Input(kJoin, saved));
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
    case kJoin:
      GoOnJoins(rest);
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
