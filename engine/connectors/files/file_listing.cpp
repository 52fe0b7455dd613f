#include "engine/connectors/files/file_listing.h"

#include <fnmatch.h>

#include <set>
#include <span>

namespace millrace {
namespace {

using arrow::fs::FileInfo;
using arrow::fs::FileType;

std::span<const std::string_view> EndingsOf(Format format) {
  static constexpr std::string_view kCsv[] = {".csv"};
  static constexpr std::string_view kJson[] = {".json", ".jsonl", ".ndjson"};
  static constexpr std::string_view kSenml[] = {".senml", ".senmlj", ".json", ".jsonl"};
  static constexpr std::string_view kParquet[] = {".parquet"};
  switch (format) {
    case Format::kCsv:
      return kCsv;
    case Format::kJson:
      return kJson;
    case Format::kSenml:
      return kSenml;
    case Format::kParquet:
      return kParquet;
  }
  return {};
}

bool HasEnding(const std::string& name, Format format) {
  for (const std::string_view ending : EndingsOf(format)) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

bool IsGlob(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

Result<std::vector<FileInfo>> ListFolder(const std::string& path,
                                         arrow::fs::FileSystem* filesystem) {
  arrow::fs::FileSelector selector;
  selector.base_dir = path;
  selector.allow_not_found = true;
  ARROW_ASSIGN_OR_RAISE(auto infos, filesystem->GetFileInfo(selector));
  std::sort(infos.begin(), infos.end(),
            [](const FileInfo& a, const FileInfo& b) { return a.path() < b.path(); });
  return infos;
}

// Paths below `base` that match the glob's parts from `part` on.
Status Match(const std::string& base, std::span<const std::string> parts,
             arrow::fs::FileSystem* filesystem, std::vector<FileInfo>* found) {
  const bool last = parts.size() == 1;
  auto path_of = [&](const std::string& name) {
    return base.empty() ? name : base == "/" ? "/" + name : base + "/" + name;
  };
  if (!IsGlob(parts[0])) {
    const std::string path = path_of(parts[0]);
    if (!last) return Match(path, parts.subspan(1), filesystem, found);
    ARROW_ASSIGN_OR_RAISE(auto info, filesystem->GetFileInfo(path));
    if (info.type() == FileType::File) found->push_back(std::move(info));
    return Status::OK();
  }
  ARROW_ASSIGN_OR_RAISE(const auto infos, ListFolder(base.empty() ? "." : base, filesystem));
  for (const FileInfo& info : infos) {
    const std::string name = info.base_name();
    if (fnmatch(parts[0].c_str(), name.c_str(), FNM_PERIOD) != 0) continue;
    if (!last && info.type() == FileType::Directory) {
      ARROW_RETURN_NOT_OK(Match(path_of(name), parts.subspan(1), filesystem, found));
    } else if (last && info.type() == FileType::File) {
      FileInfo file = info;
      file.set_path(path_of(name));
      found->push_back(std::move(file));
    }
  }
  return Status::OK();
}

Result<std::vector<FileInfo>> MatchGlob(const std::string& glob,
                                        arrow::fs::FileSystem* filesystem) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= glob.size();) {
    const size_t end = std::min(glob.find('/', begin), glob.size());
    if (end > begin) parts.push_back(glob.substr(begin, end - begin));
    begin = end + 1;
  }
  std::vector<FileInfo> found;
  ARROW_RETURN_NOT_OK(Match(glob.starts_with('/') ? "/" : "", parts, filesystem, &found));
  return found;
}

Result<std::vector<FileInfo>> FilesOf(const std::string& path, Format format,
                                      arrow::fs::FileSystem* filesystem) {
  ARROW_ASSIGN_OR_RAISE(auto info, filesystem->GetFileInfo(path));
  if (info.type() == FileType::File) return std::vector<FileInfo>{std::move(info)};
  if (info.type() == FileType::Directory) {
    std::vector<FileInfo> files;
    ARROW_ASSIGN_OR_RAISE(const auto listed, ListFolder(path, filesystem));
    for (const FileInfo& file : listed) {
      const std::string name = file.base_name();
      if (file.type() == FileType::File && HasEnding(name, format) && name[0] != '.' &&
          name[0] != '_') {
        files.push_back(file);
      }
    }
    if (!files.empty()) return files;
    std::string endings;
    for (const auto ending : EndingsOf(format)) endings.append(" ").append(ending);
    return UserError("path_missing", "no file in the folder " + path + " ends in" + endings);
  }
  if (!IsGlob(path)) return UserError("path_missing", "there is no file or folder " + path);
  ARROW_ASSIGN_OR_RAISE(auto files, MatchGlob(path, filesystem));
  if (files.empty()) return UserError("path_missing", "no file matches " + path);
  return files;
}

}  // namespace

Result<std::vector<std::string>> ListFiles(const std::vector<std::string>& paths, Format format,
                                           arrow::fs::FileSystem* filesystem) {
  std::vector<std::string> listed;
  std::set<std::string> seen;
  for (const std::string& path : paths) {
    ARROW_ASSIGN_OR_RAISE(const auto files, FilesOf(path, format, filesystem));
    for (const FileInfo& file : files) {
      for (const std::string_view ending : {".gz", ".zst", ".bz2", ".xz", ".zip", ".lz4"}) {
        if (file.path().ends_with(ending)) {
          return UserError("compressed_file", file.path() + " is compressed; unpack it first");
        }
      }
      if (seen.insert(file.path()).second) listed.push_back(file.path());
    }
  }
  return listed;
}

}  // namespace millrace
