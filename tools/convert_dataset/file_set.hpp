#ifndef METAPERTURB_TOOLS_CONVERT_DATASET_FILE_SET_HPP_
#define METAPERTURB_TOOLS_CONVERT_DATASET_FILE_SET_HPP_

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace metaperturb {

/// The files of a data set as it was downloaded: archives (.zip, .tar, and .tar compressed by gzip,
/// bzip2 or xz), folders and single files, seen as one list of paths. Archives are read as streams;
/// nothing is unpacked to the disk. Every function throws caffe::Error that names the archive or
/// file: missing, truncated or damaged ones, and a path that two sources have.
class FileSet {
 public:
  explicit FileSet(const std::vector<std::string>& sources);

  /// What tells a source from others without reading it: its name and number of bytes, of a folder
  /// the number of files, too.
  static std::string Summary(const std::string& source);

  /// Paths inside the sources, sorted. A source that is a single file has its name as path.
  std::vector<std::string> Paths() const;
  /// "sources: a.zip, b.tar", for messages.
  std::string Describe() const;
  /// The one path that is `ending` or ends with "/" + `ending`; "" where there is none.
  std::string FindIfAny(const std::string& ending) const;
  /// The same; an Error where there is none.
  std::string Find(const std::string& ending) const;
  bool Has(const std::string& path) const { return files_.count(path) > 0; }
  /// The path as a user knows it: "images.tgz: images/1.jpg".
  std::string Where(const std::string& path) const;

  /// A file's bytes.
  std::string Read(const std::string& path) const;
  /// Lines of a text file, without empty ones and carriage returns.
  std::vector<std::string> ReadLines(const std::string& path) const;
  /// Calls visit(i, bytes of paths[i]) for all i, in the order that reads every archive once.
  void ReadAll(const std::vector<std::string>& paths,
               const std::function<void(int, std::string)>& visit) const;

 private:
  struct File {
    int source;
    bool kept = false;  // small files that describe others are kept at the first pass
    std::string bytes;
  };
  void Add(const std::string& path, File file);
  void AddFolder(int source);
  void AddArchive(int source);

  std::vector<std::string> sources_;
  std::map<std::string, File> files_;
};

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_CONVERT_DATASET_FILE_SET_HPP_
