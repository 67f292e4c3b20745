#include "tools/convert_dataset/file_set.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tools/convert_dataset/archive.hpp"
#include "util/error.hpp"

namespace metaperturb {

namespace fs = std::filesystem;

namespace {

const int64_t kKept = 16 << 20;

// What archivers, file managers and other programs leave behind: hidden files and folders, too.
bool IsLitter(const std::string& path) {
  for (const fs::path& part : fs::path(path)) {
    const std::string name = part.string();
    if (name.size() > 1 && name[0] == '.' && name != "..") return true;
  }
  return fs::path(path).filename() == "Thumbs.db" || path.compare(0, 8, "__MACOSX") == 0;
}

bool DescribesOthers(const std::string& path) {
  const std::string extension = fs::path(path).extension().string();
  return extension == ".txt" || extension == ".mat";
}

// Whether a folder is what convert_dataset makes of a source, which may have it inside: no part of
// that.
bool IsOutput(const fs::path& folder) {
  std::ifstream settings(folder / "settings.txt");
  std::string word;
  return settings >> word && word == "dataset:";
}

std::string ReadFile(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  ENFORCE(stream) << file << ": cannot be opened";
  std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  ENFORCE(!stream.bad()) << file << ": cannot be read";
  return bytes;
}

}  // namespace

FileSet::FileSet(const std::vector<std::string>& sources) : sources_(sources) {
  for (int i = 0; i < static_cast<int>(sources.size()); ++i) {
    const std::string& source = sources[i];
    std::error_code error;
    ENFORCE(fs::exists(source, error)) << source << ": does not exist";
    if (fs::is_directory(source)) {
      AddFolder(i);
    } else if (IsArchive(source)) {
      AddArchive(i);
    } else {
      Add(fs::path(source).filename().string(), {i, false, ""});
    }
  }
}

std::string FileSet::Summary(const std::string& source) {
  std::error_code error;
  uintmax_t files = 0, bytes = 0;
  const fs::path path = fs::weakly_canonical(source, error);
  if (fs::is_directory(path, error)) {
    const auto options = fs::directory_options::follow_directory_symlink;
    for (fs::recursive_directory_iterator entry(path, options, error), end; !error && entry != end;
         entry.increment(error)) {
      if (entry->is_directory(error) && IsOutput(entry->path())) entry.disable_recursion_pending();
      if (!entry->is_regular_file(error)) continue;
      ++files;
      bytes += entry->file_size(error);
    }
  } else {
    bytes = fs::file_size(path, error);
  }
  std::ostringstream text;
  text << path.filename().string();
  if (!error)
    text << " (" << (files ? std::to_string(files) + " files, " : "") << bytes << " bytes)";
  return text.str();
}

void FileSet::Add(const std::string& path, File file) {
  if (IsLitter(path)) return;
  const int source = file.source;
  const auto added = files_.emplace(path, std::move(file));
  ENFORCE(added.second) << sources_[source] << ": '" << path << "' is also in "
                        << sources_[added.first->second.source];
}

void FileSet::AddFolder(int source) {
  const fs::path root = sources_[source];
  const auto options = fs::directory_options::follow_directory_symlink;
  fs::path path = root;  // an exception of going on names none
  try {
    for (fs::recursive_directory_iterator entry(root, options), end; entry != end; ++entry) {
      path = entry->path();
      ENFORCE(entry->exists()) << path.string() << ": is a symbolic link to nothing";
      if (entry->is_directory() && IsOutput(path)) entry.disable_recursion_pending();
      if (entry->is_regular_file()) {
        Add(path.lexically_relative(root).generic_string(), {source, false, ""});
      }
    }
  } catch (const fs::filesystem_error& e) {
    THROW_ERROR << (e.path1().empty() ? path : e.path1()).string()
                << ": cannot be read: " << e.code().message();
  }
}

void FileSet::AddArchive(int source) {
  ArchiveReader reader(sources_[source]);
  while (reader.Next()) {
    File file{source, false, ""};
    if (DescribesOthers(reader.path()) && reader.size() >= 0 && reader.size() <= kKept) {
      file.kept = true;
      file.bytes = reader.Bytes();
    }
    Add(reader.path(), std::move(file));
  }
  LOG_IF(WARNING, reader.links() > 0)
      << sources_[source] << ": links left out: " << reader.links() << ", the first '"
      << reader.first_link() << "'; unpack the archive and give the folder to have their images";
}

std::vector<std::string> FileSet::Paths() const {
  std::vector<std::string> paths;
  for (const auto& file : files_) paths.push_back(file.first);
  return paths;
}

std::string FileSet::Describe() const {
  std::string text;
  for (const std::string& source : sources_) text += (text.empty() ? "" : ", ") + source;
  return text;
}

std::string FileSet::FindIfAny(const std::string& ending) const {
  std::string found;
  const std::string below = "/" + ending;
  for (const auto& file : files_) {
    const std::string& path = file.first;
    if (path != ending && (path.size() < below.size() ||
                           path.compare(path.size() - below.size(), below.size(), below) != 0)) {
      continue;
    }
    ENFORCE(found.empty()) << Describe() << ": '" << ending << "' is there twice: '" << found
                           << "' and '" << path << "'";
    found = path;
  }
  return found;
}

std::string FileSet::Find(const std::string& ending) const {
  const std::string found = FindIfAny(ending);
  ENFORCE(!found.empty()) << Describe() << ": there is no file '" << ending << "'";
  return found;
}

std::string FileSet::Where(const std::string& path) const {
  const auto found = files_.find(path);
  ENFORCE(found != files_.end()) << Describe() << ": there is no file '" << path << "'";
  const std::string& source = sources_[found->second.source];
  if (fs::is_directory(source)) return (fs::path(source) / path).string();
  return IsArchive(source) ? source + ": " + path : source;
}

std::string FileSet::Read(const std::string& path) const {
  std::string result;
  ReadAll({path}, [&](int, std::string bytes) { result = std::move(bytes); });
  return result;
}

std::vector<std::string> FileSet::ReadLines(const std::string& path) const {
  std::stringstream stream(Read(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

void FileSet::ReadAll(const std::vector<std::string>& paths,
                      const std::function<void(int, std::string)>& visit) const {
  std::map<int, std::map<std::string, std::vector<int>>> archived;  // source -> path -> indices
  for (int i = 0; i < static_cast<int>(paths.size()); ++i) {
    const std::string where = Where(paths[i]);
    const File& file = files_.at(paths[i]);
    if (file.kept) {
      visit(i, file.bytes);
    } else if (!fs::is_directory(sources_[file.source]) && IsArchive(sources_[file.source])) {
      archived[file.source][paths[i]].push_back(i);
    } else {
      visit(i, ReadFile(where));
    }
  }
  for (auto& source : archived) {
    ArchiveReader reader(sources_[source.first]);
    auto& wanted = source.second;
    while (!wanted.empty() && reader.Next()) {
      const auto found = wanted.find(reader.path());
      if (found == wanted.end()) continue;
      const std::string bytes = reader.Bytes();
      for (const int i : found->second) visit(i, bytes);
      wanted.erase(found);
    }
    ENFORCE(wanted.empty()) << sources_[source.first] << ": '" << wanted.begin()->first
                            << "' is gone";
  }
}

}  // namespace metaperturb
