#include "tests/simulation/simulation.h"

#include <algorithm>

#include "tests/simulation/outcome.h"

namespace millrace::simulation {
namespace {

constexpr int64_t kStepsMax = 400'000;
// Processes that may be ended on purpose in one run.
constexpr int kLivesMax = 9;

std::string CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? "" : detail->code();
}

enum class End { kCrash, kMachineCrash, kFreeze, kOverlap, kStop };

class Simulation {
 public:
  Simulation(const Options& options, bool faults)
      : world_(options.seed * 2 + (faults ? 1 : 0), options.bug, faults, options.trace && faults),
        universe_(&world_) {
    universe_.readings = MakeReadings(options.seed);
    Configure();
  }

  // Until the job has ended, or something is wrong.
  void Run() {
    while (!finished_ && !world_.failure.has_value()) {
      if (++events_.steps > kStepsMax) world_.Fail("the job does not end");
      PassTime();
      if (world_.faults) Happen();
      if (lives_.empty() || std::ranges::all_of(lives_, &Life::frozen)) StartProcess();
      StepOne();
      Settle();
      NotePassedOver();
    }
    if (!world_.failure.has_value()) FinishZombies();
    if (!world_.failure.has_value()) LookOnce();
  }

  World& world() { return world_; }
  const Universe& universe() const { return universe_; }
  Events& events() { return events_; }

 private:
  struct Life {
    std::unique_ptr<Process> process;
    int64_t until = INT64_MAX;  // steps, then `end`
    int64_t commits = 0;        // 0: as `until` says; else so many, and soon after the last of them
    End end = End::kCrash;
    bool frozen = false;
    int64_t wakes = INT64_MAX;  // steps
    bool stopping = false;
    bool goes_back = false;  // starts from a savepoint
  };

  // The seed's circumstances.
  void Configure() {
    Random& random = world_.random;
    ends_left_ = world_.faults ? int(random.Below(kLivesMax + 1)) : 0;
    with_zombies_ = random.Chance(600);
    with_machine_ = random.Chance(400);
    with_stops_ = random.Chance(400);
    with_damage_ = !with_zombies_ && random.Chance(600);
    with_moves_ = world_.faults && !with_damage_ && random.Chance(300);
    rescale_ = world_.faults && random.Chance(500);
    start_.credit_bytes = random.Chance(300) ? 400 : 1 << 20;
    start_.state_bytes_max = random.Chance(300) ? 500 : INT64_MAX;
    start_.retain = size_t(1 + random.Below(3));
    start_.limits.interval = std::chrono::milliseconds(20 + random.Below(200));
    start_.limits.timeout = std::chrono::milliseconds(random.Chance(300) ? 100 : 600'000);
    start_.limits.unpublished_epochs_max = 1 + random.Below(6);
    start_.limits.outbox_bytes_max = random.Chance(200) ? 500 : 1 << 20;
    start_.roll_interval = std::chrono::milliseconds(random.Below(400));
    if (!world_.faults) start_.limits.interval = std::chrono::seconds(1);
  }

  void PassTime() {
    world_.now += std::chrono::microseconds(world_.random.Below(1000));
    world_.wall += Micros(world_.random.Below(1000));
    if (!world_.faults || !world_.random.Chance(1)) return;
    world_.now += std::chrono::milliseconds(world_.random.Below(20'000));
    world_.wall += Micros(world_.random.Below(7'200'000'000) - 3'600'000'000);
  }

  // What the world does by itself.
  void Happen() {
    if (universe_.kafka.in_doubt() && world_.random.Chance(10)) {
      universe_.kafka.DecideOne(&world_.random);
    }
    if (with_moves_ && world_.random.Chance(10)) MoveFile();
    const bool committed = universe_.log.commits() != commits_;
    commits_ = universe_.log.commits();
    for (size_t i = 0; i < lives_.size(); ++i) {
      Life& life = lives_[i];
      if (committed && life.commits > 0 && --life.commits == 0) {
        life.until = events_.steps + world_.random.Below(with_damage_ ? 8 : 40);
      }
      if (life.frozen && events_.steps >= life.wakes) {
        life.frozen = false;
        ++events_.woken;
        world_.Trace(life.process->name() + " wakes up");
        // It may die again.
        life.until = events_.steps + world_.random.Below(1000);
        life.end = End::kCrash;
      }
      if (!life.frozen && events_.steps >= life.until) return EndLife(i);
    }
  }

  void EndLife(size_t index) {
    Life& life = lives_[index];
    // Somebody who goes back to a savepoint does not start the job as it was beside it. Rows that
    // this one published meanwhile would come again, as going back means.
    const bool overlaps = life.end == End::kFreeze || life.end == End::kOverlap;
    if (overlaps && life.goes_back && !life.process->running()) {
      life.until = events_.steps + 100;
      return;
    }
    life.until = INT64_MAX;
    switch (life.end) {
      case End::kCrash:
        world_.Trace(life.process->name() + " dies");
        ++events_.process_crashes;
        lives_.erase(lives_.begin() + std::ptrdiff_t(index));
        return Between();
      case End::kMachineCrash:
        world_.Trace("the machine dies");
        ++events_.machine_crashes;
        lives_.clear();
        universe_.disk.CrashMachine(&world_.random);
        universe_.log.CrashMachine(&world_.random);
        return Between();
      case End::kFreeze:
        world_.Trace(life.process->name() + " freezes");
        ++events_.zombies;
        life.frozen = true;
        life.wakes = events_.steps + world_.random.Below(world_.random.Chance(500) ? 200 : 1500);
        return;
      case End::kOverlap:
        ++events_.zombies;
        return StartProcess();
      case End::kStop:
        if (!life.process->running()) {
          life.until = events_.steps + 100;
          return;
        }
        ++events_.stops;
        life.stopping = true;
        return life.process->RequestStop();
    }
  }

  // Somebody takes a final file away whose roll the newest checkpoint knows to be written. Not
  // while an older process may wake up: files cannot be fenced, and it would write it again.
  void MoveFile() {
    if (lives_.size() > 1) return;
    const proto::Manifest manifest = NewestManifest();
    const std::vector<std::string> paths = universe_.disk.List(kFinalFolder);
    if (paths.empty()) return;
    const std::string& path = paths[size_t(world_.random.Below(int64_t(paths.size())))];
    const FinalName name = ParseFinalName(path);
    if (name.generation != manifest.generation() || name.epoch >= manifest.epoch()) return;
    for (const proto::ShardState& shard : manifest.shards()) {
      for (const proto::FileSinkState& sink : shard.files()) {
        for (const proto::FileRoll& roll : sink.rolls()) {
          if (shard.shard() == name.shard && roll.epoch() == name.epoch) return;
        }
      }
    }
    world_.Trace("moved away: " + path);
    ++events_.moved;
    universe_.disk.Rename(path, kMovedFolder + path);
    universe_.disk.Find(kMovedFolder + path)->name_safe = true;
  }

  // No process runs: what happens to files then.
  void Between() {
    if (world_.bug == Bug::kSavepointWithOutbox && lives_.empty()) MaybeSavepoint();
    if (!with_damage_ || !lives_.empty() || undo_.has_value() || !world_.random.Chance(700)) return;
    const proto::ManifestPointer* const newest = universe_.log.Newest();
    if (newest == nullptr) return;
    std::vector<std::string> paths = {newest->file().path()};
    proto::Manifest manifest;
    const Disk::File* const stored = universe_.disk.Find("store/" + newest->file().path());
    if (stored == nullptr) return;
    manifest.ParseFromString(stored->bytes);
    for (const std::string& path : FilesOf(manifest)) paths.push_back(path);
    const std::string path = "store/" + paths[size_t(world_.random.Below(int64_t(paths.size())))];
    if (path.starts_with("store/savepoints/")) return;
    Disk::File* const file = universe_.disk.Find(path);
    if (file == nullptr) return;  // damaged before, and passed over
    ++events_.damaged;
    world_.Trace("damage: " + path);
    undo_ = {path, *file};
    if (file->bytes.empty() || world_.random.Chance(500)) {
      universe_.disk.Lose(path);
    } else {
      file->bytes[size_t(world_.random.Below(int64_t(file->bytes.size())))] ^= 1;
    }
  }

  void StartProcess() {
    Random& random = world_.random;
    if (rescale_ && random.Chance(500)) {
      start_.readers = int(1 + random.Below(2));
      start_.tasks = int(1 + random.Below(3));
      ++events_.rescaled;
    }
    start_.savepoint = std::exchange(savepoint_, std::nullopt);
    Life life;
    life.goes_back = start_.savepoint.has_value();
    life.process = std::make_unique<Process>(&universe_, ++events_.starts, start_);
    world_.Trace(life.process->name() + " starts with " + std::to_string(start_.readers) +
                 " readers and " + std::to_string(start_.tasks) + " tasks");
    if (ends_left_ > 0) {
      --ends_left_;
      static constexpr int64_t kScales[] = {30, 150, 300, 600};
      life.until = events_.steps + random.Below(kScales[random.Below(4)]);
      life.end = DrawEnd();
      if (random.Chance(with_damage_ ? 700 : 350)) {
        life.until = INT64_MAX;
        life.commits = 1 + random.Below(with_damage_ ? 3 : 4);
      }
    }
    lives_.push_back(std::move(life));
  }

  End DrawEnd() {
    std::vector<End> ends = {End::kCrash, End::kCrash};
    if (with_machine_) ends.insert(ends.end(), 2, End::kMachineCrash);
    if (with_stops_) ends.insert(ends.end(), 2, End::kStop);
    if (with_zombies_) ends.insert(ends.end(), {End::kFreeze, End::kFreeze, End::kOverlap});
    return ends[size_t(world_.random.Below(int64_t(ends.size())))];
  }

  // One of the processes that are awake does one step; where none can, time passes.
  void StepOne() {
    std::vector<Process*> awake;
    for (Life& life : lives_) {
      if (!life.frozen) awake.push_back(life.process.get());
    }
    const size_t first = size_t(world_.random.Below(int64_t(awake.size())));
    std::optional<MonotonicTime> next;
    for (size_t i = 0; i < awake.size(); ++i) {
      Process* const process = awake[(first + i) % awake.size()];
      if (process->Step()) return;
      if (process->next().has_value())
        next = std::min(next.value_or(*process->next()), *process->next());
    }
    if (next.has_value()) world_.now = std::max(world_.now, *next);
  }

  // Processes that have ended by themselves.
  void Settle() {
    for (size_t i = 0; i < lives_.size(); ++i) {
      if (!lives_[i].process->ended().has_value()) continue;
      Life life = std::move(lives_[i]);
      lives_.erase(lives_.begin() + std::ptrdiff_t(i));
      Judge(life);
      return;
    }
  }

  void Judge(const Life& life) {
    const Process& process = *life.process;
    const Status& status = *process.ended();
    world_.Trace(process.name() + " ends: " + status.ToString());
    NoteDamage(process);
    if (status.ok()) {
      finished_ = process.found_finished() || IsFinished();
      if (!finished_ && lives_.empty()) MaybeSavepoint();
      if (!finished_ && !life.stopping) world_.Fail(process.name() + " ends too early");
      return;
    }
    const bool leads = process.site().term == universe_.log.term();
    if (CodeOf(status) == "superseded") {
      ++events_.superseded;
      if (leads) world_.Fail(process.name() + " leads and gives up: " + status.ToString());
    } else if (CodeOf(status) == "checkpoint_damaged" && refused_) {
      refused_ = false;
    } else if (leads || CodeOf(status) == "" ||
               ErrorDetail::Of(status)->domain() == ErrorDomain::kInternal) {
      world_.Fail(process.name() + " fails: " + status.ToString());
    }
    if (lives_.empty()) Between();
  }

  // A start either passes over what is damaged or refuses, and then it is mended.
  void NoteDamage(const Process& process) {
    if (!undo_.has_value()) return;
    const bool refuses = CodeOf(*process.ended()) == "checkpoint_damaged" && !process.running();
    if (!refuses) return;
    refused_ = true;
    ++events_.refused;
    world_.Trace("mended: " + undo_->first);
    universe_.disk.Create(undo_->first);
    *universe_.disk.Find(undo_->first) = undo_->second;
    undo_.reset();
  }

  void NotePassedOver() {
    if (!undo_.has_value() || lives_.empty() || !lives_.back().process->running()) return;
    ++events_.fallen_back;
    undo_.reset();
  }

  bool IsFinished() const { return NewestManifest().finished(); }

  proto::Manifest NewestManifest() const {
    proto::Manifest manifest;
    const proto::ManifestPointer* const newest = universe_.log.Newest();
    if (newest == nullptr) return manifest;
    const Disk::File* const found = universe_.disk.Find("store/" + newest->file().path());
    if (found != nullptr) manifest.ParseFromString(found->bytes);
    return manifest;
  }

  // Of a job that has stopped: the next start begins with it.
  void MaybeSavepoint() {
    if (universe_.log.Newest() == nullptr || !world_.random.Chance(600)) return;
    Site site(&world_, 0);
    const std::string name = "s" + std::to_string(events_.savepoints++);
    const auto storage = MakeStorage(&site, &universe_.disk, nullptr);
    const Status status = storage->WriteSavepoint(name, NewestManifest());
    if (!status.ok()) return world_.Fail("no savepoint: " + status.ToString());
    savepoint_ = name;
  }

  // Those that were superseded long ago come to an end too.
  void FinishZombies() {
    for (Life& life : lives_) {
      for (int step = 0; step < 300 && !life.process->ended().has_value(); ++step) {
        PassTime();
        if (!life.process->Step()) world_.now += std::chrono::milliseconds(10);
      }
    }
    lives_.clear();
    while (universe_.kafka.in_doubt()) universe_.kafka.DecideOne(&world_.random);
  }

  // A last start finds that the job has ended, and removes what others left.
  void LookOnce() {
    start_.savepoint.reset();
    Process process(&universe_, ++events_.starts, start_);
    for (int step = 0; step < 10'000 && !process.ended().has_value(); ++step) {
      PassTime();
      process.Step();
    }
    if (!process.ended().has_value() || !process.ended()->ok() || !process.found_finished()) {
      world_.Fail("a start after the end does not find the job finished");
    }
  }

  World world_;
  Universe universe_;
  Start start_;
  std::vector<Life> lives_;
  Events events_;
  int ends_left_ = 0;
  bool with_zombies_ = false, with_machine_ = false, with_stops_ = false, with_damage_ = false;
  bool with_moves_ = false, rescale_ = false;
  int64_t commits_ = 0;
  bool finished_ = false;
  bool refused_ = false;
  std::optional<std::string> savepoint_;
  std::optional<std::pair<std::string, Disk::File>> undo_;
};

}  // namespace

void Events::Add(const Events& other) {
  constexpr int Events::*kCounts[] = {
      &Events::starts,  &Events::process_crashes, &Events::machine_crashes, &Events::zombies,
      &Events::woken,   &Events::rescaled,        &Events::stops,           &Events::savepoints,
      &Events::damaged, &Events::fallen_back,     &Events::refused,         &Events::superseded,
      &Events::moved};
  for (const auto count : kCounts) this->*count += other.*count;
  steps += other.steps;
}

std::string Events::Text() const {
  const auto part = [](const char* name, int64_t count) {
    return std::string(name) + " " + std::to_string(count);
  };
  return part("starts", starts) + ", " + part("process crashes", process_crashes) + ", " +
         part("machine crashes", machine_crashes) + ", " + part("zombies", zombies) + ", " +
         part("woken", woken) + ", " + part("superseded", superseded) + ", " +
         part("rescaled", rescaled) + ", " + part("stops", stops) + ", " +
         part("savepoints", savepoints) + ", " + part("damaged", damaged) + ", " +
         part("fallen back", fallen_back) + ", " + part("refused", refused) + ", " +
         part("files moved", moved) + ", " + part("steps", steps);
}

Report Simulate(const Options& options) {
  Report report;
  const auto run = [&](const Options& wanted, bool faults) {
    Simulation simulation(wanted, faults);
    simulation.Run();
    World& world = simulation.world();
    Outcome outcome;
    std::string wrong;
    if (!world.failure.has_value()) outcome = OutcomeOf(simulation.universe(), &wrong);
    if (!wrong.empty()) world.Fail(wrong);
    report.failure = world.failure;
    report.events = simulation.events();
    report.trace = std::move(world.trace);
    return outcome;
  };
  Options sound = options;
  sound.bug = Bug::kNone;
  const Outcome expected = run(sound, /*faults=*/false);
  if (report.failure.has_value()) {
    report.failure = "without a fault: " + *report.failure;
    return report;
  }
  const Outcome found = run(options, /*faults=*/true);
  if (report.failure.has_value()) return report;
  const std::string difference = Difference(expected, found);
  if (!difference.empty()) report.failure = difference;
  return report;
}

}  // namespace millrace::simulation
