#include "engine/plan/stream_reader.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "engine/plan/syntax_tree.h"

namespace millrace {
namespace {

using Kind = BoundStream::Kind;

class StreamReader {
 public:
  StreamReader(const JobSpec& job, Diagnostics* diagnostics, BoundJob* bound)
      : job_(job), diagnostics_(diagnostics), bound_(*bound) {}

  void Read() {
    for (const StreamSpec& spec : job_.streams) {
      BoundStream stream;
      stream.spec = &spec;
      names_.insert(spec.name);
      bound_.streams.push_back(std::move(stream));
    }
    for (size_t i = 0; i < job_.streams.size(); ++i) {
      const auto* query = std::get_if<QueryStreamSpec>(&job_.streams[i].kind);
      if (query == nullptr) continue;
      At(int(i)).kind = Kind::kQuery;
      const SqlText sql(query->sql, "", diagnostics_);
      const std::optional<Syntax> select = ParseSelect(sql);
      if (!select.has_value()) continue;
      owner_ = int(i);
      parts_ = 0;
      ReadSelect(sql, int(i), *select, Scope());
    }
    PutInOrder();
  }

 private:
  // The queries of WITH that may be named, by name.
  using Scope = std::map<std::string, int>;

  BoundStream& At(int index) { return bound_.streams[size_t(index)]; }

  // A part of the stream at `index`; -1, with an error, where it has too many.
  int AddPart(const SqlText& sql, int index, Kind kind, const std::string& name, int64_t offset) {
    if (++parts_ > kStreamPartsMax) {
      if (parts_ == kStreamPartsMax + 1) {
        sql.Error(offset,
                  "a stream has at most " + std::to_string(kStreamPartsMax) +
                      " parts: queries, joins, branches of UNION ALL",
                  "give some of them streams of their own");
      }
      return -1;
    }
    const std::string wanted = At(index).spec->name + ":" + name;
    StreamSpec spec;
    spec.name = wanted;
    for (int n = 2; !names_.insert(spec.name).second; ++n) {
      spec.name = wanted + "#" + std::to_string(n);
    }
    spec.place = At(owner_).spec->place;
    At(owner_).has_parts = true;
    QueryStreamSpec query{At(owner_).sql()};
    query.accept_delay = std::get<QueryStreamSpec>(At(owner_).spec->kind).accept_delay;
    spec.kind = std::move(query);
    BoundStream part;
    part.kind = kind;
    part.spec = &bound_.parts.emplace_back(std::move(spec));
    part.is_part = true;
    bound_.streams.push_back(std::move(part));
    return int(bound_.streams.size()) - 1;
  }

  void AddInput(int index, int input, int64_t offset) {
    At(index).inputs.push_back(input);
    At(index).input_offsets.push_back(offset);
  }

  // Whether the stream at `index` could be read. One that could not keeps no inputs.
  bool ReadSelect(const SqlText& sql, int index, const Syntax& select, Scope scope) {
    if (!ReadWith(sql, index, select, &scope)) return false;
    if (select.Text("op") != "SETOP_NONE") return ReadUnion(sql, index, select, scope);
    std::optional<FromClause> from = ReadFrom(sql, select);
    if (!from.has_value()) return false;
    LiftWindow(scope, &*from);
    const int input = RowsOf(sql, index, from->table, scope);
    if (input < 0) return false;
    from->stream = NameOf(from->table, input);
    At(index).from = std::move(*from);
    At(index).select = select;
    const TableRef* first = &At(index).from.table;
    while (!first->inputs.empty()) first = &first->inputs.front();
    AddInput(index, input, first->offset);
    return true;
  }

  std::string NameOf(const TableRef& table, int input) {
    return table.qualifier.empty() ? At(input).spec->name
           : table.name.empty()    ? table.qualifier
                                   : table.name;
  }

  // WITH a AS (...), b AS (...).
  bool ReadWith(const SqlText& sql, int index, const Syntax& select, Scope* scope) {
    const Syntax* with = select.Find("withClause");
    if (with == nullptr) return true;
    if (with->Flag("recursive")) {
      sql.Error(*with, "WITH RECURSIVE is not supported");
      return false;
    }
    bool good = true;
    std::set<std::string> here;
    for (const Syntax& query : with->List("ctes")) {
      const std::string name = query.Text("ctename");
      const Syntax* inner = query.Find("ctequery");
      if (inner == nullptr ||
          !RefuseOtherFields(sql, query,
                             {"ctename", "aliascolnames", "ctematerialized", "ctequery"})) {
        return false;
      }
      if (inner->tag != "SelectStmt") {
        sql.Error(*inner, "a query of WITH is a SELECT");
        return false;
      }
      if (!here.insert(name).second) {
        sql.Error(query, "WITH query name '" + name + "' is there twice");
        return false;
      }
      const int part = AddPart(sql, index, Kind::kQuery, name, query.offset);
      if (part < 0) return false;
      At(part).column_names = ReadColumnNames(query.List("aliascolnames"));
      good = ReadSelect(sql, part, *inner, *scope) && good;
      (*scope)[name] = part;
    }
    return good;
  }

  // The branches of a UNION ALL, in order.
  static void Branches(const Syntax& select, std::vector<const Syntax*>* branches) {
    if (select.Text("op") == "SETOP_UNION" && select.Flag("all") &&
        select.Find("withClause") == nullptr) {
      for (const char* side : {"larg", "rarg"}) {
        if (const Syntax* branch = select.Find(side)) Branches(*branch, branches);
      }
      return;
    }
    branches->push_back(&select);
  }

  bool ReadUnion(const SqlText& sql, int index, const Syntax& select, const Scope& scope) {
    if (select.Text("op") != "SETOP_UNION") {
      sql.Error(select, "INTERSECT and EXCEPT are not supported");
      return false;
    }
    if (!select.Flag("all")) {
      sql.Error(select, "UNION without ALL is not supported",
                "write UNION ALL: to leave out what was there before, all of it would have to be "
                "kept");
      return false;
    }
    for (const char* clause : {"sortClause", "limitCount", "limitOffset"}) {
      const std::vector<Syntax>& items = select.List(clause);
      const Syntax* found = items.empty() ? select.Find(clause) : &items[0];
      if (found == nullptr) continue;
      sql.Error(*found, "ORDER BY and LIMIT of a UNION ALL are not supported",
                "put it in parentheses in FROM of a query with a window");
      return false;
    }
    if (!RefuseOtherFields(sql, select,
                           {"op", "all", "larg", "rarg", "limitOption", "withClause"})) {
      return false;
    }
    std::vector<const Syntax*> branches;
    for (const char* side : {"larg", "rarg"}) {
      if (const Syntax* branch = select.Find(side)) Branches(*branch, &branches);
    }
    bool good = true;
    std::vector<int> inputs;
    for (size_t i = 0; i < branches.size(); ++i) {
      const int part =
          AddPart(sql, index, Kind::kQuery, std::to_string(i + 1), branches[i]->offset);
      if (part < 0) return false;
      At(part).names_columns = i == 0 && At(index).names_columns;
      good = ReadSelect(sql, part, *branches[i], scope) && good;
      inputs.push_back(part);
    }
    At(index).kind = Kind::kUnion;
    if (!good) return false;
    for (size_t i = 0; i < inputs.size(); ++i) AddInput(index, inputs[i], branches[i]->offset);
    return true;
  }

  bool IsLookup(const TableRef& table, const Scope& scope) const {
    return table.kind == TableRef::Kind::kNamed && !scope.contains(table.name) &&
           LookupNamed(table.name) >= 0;
  }

  int LookupNamed(const std::string& name) const {
    const auto found = std::ranges::find(job_.lookups, name, &LookupSpec::name);
    return found == job_.lookups.end() ? -1 : int(found - job_.lookups.begin());
  }

  // A window over a stream that is joined with lookups is one over the stream with their columns.
  void LiftWindow(const Scope& scope, FromClause* from) const {
    TableRef* table = &from->table;
    while (table->kind == TableRef::Kind::kJoin && !table->window.windowed) {
      if (!IsLookup(table->inputs[1], scope)) return;
      table = &table->inputs[0];
    }
    static_cast<WindowClause&>(*from) = std::exchange(table->window, WindowClause());
  }

  // The stream that gives the rows of `table`; -1 after an error.
  int RowsOf(const SqlText& sql, int index, const TableRef& table, const Scope& scope) {
    switch (table.kind) {
      case TableRef::Kind::kNamed:
        return Named(sql, table, scope);
      case TableRef::Kind::kQuery: {
        const int part = AddPart(sql, index, Kind::kQuery, table.qualifier, table.offset);
        if (part < 0) return -1;
        At(part).column_names = table.column_names;
        return ReadSelect(sql, part, *table.query, scope) ? part : -1;
      }
      case TableRef::Kind::kPivot:
        return Derived(sql, index, Kind::kPivot, "pivot", table, table.inputs[0], scope);
      case TableRef::Kind::kResample:
        return Resample(sql, index, table, scope);
      case TableRef::Kind::kJoin:
      case TableRef::Kind::kAsOf:
        return Join(sql, index, table, scope);
    }
    return -1;
  }

  int Named(const SqlText& sql, const TableRef& table, const Scope& scope) {
    const auto query = scope.find(table.name);
    if (query != scope.end()) return query->second;
    if (const std::optional<int> stream = StreamNamed(job_, table.name)) return *stream;
    if (LookupNamed(table.name) >= 0) {
      sql.Error(table.offset, "'" + table.name + "' is a lookup, not a stream",
                "write FROM stream JOIN " + table.name + " ON ...");
      return -1;
    }
    std::vector<std::string> names;
    for (const auto& [name, part] : scope) names.push_back(name);
    for (const StreamSpec& stream : job_.streams) names.push_back(stream.name);
    for (const LookupSpec& lookup : job_.lookups) names.push_back(lookup.name);
    sql.Error(table.offset, "unknown stream '" + table.name + "'", SuggestName(table.name, names));
    return -1;
  }

  // A part that reads `input` by what `table` says.
  int Derived(const SqlText& sql, int index, Kind kind, const std::string& name,
              const TableRef& table, const TableRef& input, const Scope& scope) {
    const int rows = RowsOf(sql, index, input, scope);
    if (rows < 0) return -1;
    const int part = AddPart(sql, index, kind, name, table.offset);
    if (part < 0) return -1;
    At(part).from.table = table;
    At(part).from.stream = At(rows).spec->name;
    AddInput(part, rows, input.offset);
    return part;
  }

  int Resample(const SqlText& sql, int index, const TableRef& table, const Scope& scope) {
    const int rows =
        Derived(sql, index, Kind::kNeighbours, "neighbours", table, table.inputs[0], scope);
    if (rows < 0) return -1;
    const int part = AddPart(sql, index, Kind::kResample, "resample", table.offset);
    if (part < 0) return -1;
    At(part).from.table = table;
    AddInput(part, rows, table.offset);
    return part;
  }

  int Join(const SqlText& sql, int index, const TableRef& table, const Scope& scope) {
    const TableRef& right = table.inputs[1];
    if (IsLookup(right, scope)) return Lookup(sql, index, table, scope);
    int sides[2] = {-1, -1};
    for (const size_t side : {size_t(0), size_t(1)}) {
      const TableRef& input = table.inputs[side];
      sides[side] = input.window.windowed ? WindowRows(sql, index, table, input, scope)
                                          : RowsOf(sql, index, input, scope);
    }
    if (sides[0] < 0 || sides[1] < 0) return -1;
    const int part = AddPart(sql, index, Kind::kJoin, "join", table.offset);
    if (part < 0) return -1;
    At(part).from.table = table;
    for (const size_t side : {size_t(0), size_t(1)}) {
      AddInput(part, sides[side], table.inputs[side].offset);
    }
    return part;
  }

  int Lookup(const SqlText& sql, int index, const TableRef& table, const Scope& scope) {
    if (table.kind == TableRef::Kind::kAsOf) {
      sql.Error(table.inputs[1].offset, "asof_join() takes streams",
                "a lookup with `valid` has the row that is valid at the event time: join it by its "
                "key");
      return -1;
    }
    const int part = Derived(sql, index, Kind::kLookup, table.inputs[1].qualifier, table,
                             table.inputs[0], scope);
    if (part >= 0) At(part).lookup.lookup = LookupNamed(table.inputs[1].name);
    return part;
  }

  // tumble(a, ...) x JOIN tumble(b, ...) y ON x.window_end = y.window_end: rows with the window
  // that they are in.
  int WindowRows(const SqlText& sql, int index, const TableRef& join, const TableRef& input,
                 const Scope& scope) {
    const bool tumbles = input.window.slide == input.window.size && !input.window.cumulates &&
                         input.window.gap == Micros(0);
    const bool both =
        std::ranges::all_of(join.inputs, [](const TableRef& side) { return side.window.windowed; });
    if (!tumbles || !both) {
      sql.Error(input.offset,
                tumbles ? "a window is joined with a window"
                        : "of windows only tumble() is joined row by row",
                "group first: join queries that group by window_start, window_end");
      return -1;
    }
    return Derived(sql, index, Kind::kWindowRows, input.qualifier, input, input, scope);
  }

  // Inputs before what reads them. What is left reads a broken stream, or itself.
  void PutInOrder() {
    enum class Visit { kNew, kOpen, kDone };
    std::vector<Visit> visits(bound_.streams.size(), Visit::kNew);
    struct Step {
      int stream;
      size_t next;  // of its inputs
    };
    for (size_t i = 0; i < bound_.streams.size(); ++i) {
      if (visits[i] != Visit::kNew) continue;
      std::vector<Step> path = {{int(i), 0}};
      visits[i] = Visit::kOpen;
      while (!path.empty()) {
        Step& step = path.back();
        const int stream = step.stream;
        if (step.next == At(stream).inputs.size()) {
          visits[size_t(stream)] = Visit::kDone;
          bound_.order.push_back(stream);
          path.pop_back();
          continue;
        }
        const int input = At(stream).inputs[step.next++];
        if (visits[size_t(input)] == Visit::kOpen) {
          std::vector<int> cycle;
          cycle.reserve(path.size());
          for (const Step& on_the_way : path) cycle.push_back(on_the_way.stream);
          ReportCycle(cycle, input);
        }
        if (visits[size_t(input)] != Visit::kNew) continue;
        visits[size_t(input)] = Visit::kOpen;
        path.push_back({input, 0});
      }
    }
  }

  // The last of `path` reads `first`, which is on it.
  void ReportCycle(const std::vector<int>& path, int first) {
    std::string names;
    int streams = 0;
    for (auto it = std::ranges::find(path, first); it != path.end(); ++it) {
      if (At(*it).is_part) continue;
      names += At(*it).spec->name + " -> ";
      ++streams;
    }
    const std::string& name = At(first).spec->name;
    const BoundStream& reader = At(path.back());
    const auto input = std::ranges::find(reader.inputs, first);
    const int64_t offset = reader.input_offsets[size_t(input - reader.inputs.begin())];
    const SqlText sql(reader.sql(), "", diagnostics_);
    if (streams == 1) {
      sql.Error(offset, "stream '" + name + "' reads itself");
    } else {
      sql.Error(offset, "streams read each other in a cycle: " + names + name);
    }
  }

  const JobSpec& job_;
  Diagnostics* diagnostics_;
  BoundJob& bound_;
  std::set<std::string> names_;
  int owner_ = -1;  // of the parts that are made
  int parts_ = 0;
};

}  // namespace

void ReadStreams(const JobSpec& job, Diagnostics* diagnostics, BoundJob* bound) {
  StreamReader(job, diagnostics, bound).Read();
}

std::optional<int> StreamNamed(const JobSpec& job, const std::string& name) {
  const auto found = std::ranges::find(job.streams, name, &StreamSpec::name);
  if (found == job.streams.end()) return std::nullopt;
  return int(found - job.streams.begin());
}

std::string SuggestStream(const JobSpec& job, const std::string& name) {
  std::vector<std::string> names;
  names.reserve(job.streams.size());
  for (const StreamSpec& stream : job.streams) names.push_back(stream.name);
  return SuggestName(name, names);
}

}  // namespace millrace
