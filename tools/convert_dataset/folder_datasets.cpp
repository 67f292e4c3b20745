// Data sets with one file per image in a folder per class.

#include <glog/logging.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "tools/convert_dataset/dataset.hpp"
#include "util/error.hpp"

namespace metaperturb {

using std::string;
using std::vector;

namespace {

bool IsImage(const string& path) {
  string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), ::tolower);
  static const std::set<string> kImages = {".jpg", ".jpeg", ".jpe", ".jfif", ".png",  ".bmp",
                                           ".ppm", ".pgm",  ".pbm", ".tif",  ".tiff", ".webp"};
  return kImages.count(extension) > 0;
}

// What a data set has beside its images: lists, descriptions, licences.
bool IsText(const string& path) {
  static const std::set<string> kTexts = {"",    ".csv", ".htm", ".html", ".json", ".mat",
                                          ".md", ".pdf", ".txt", ".xml",  ".yaml", ".yml"};
  return kTexts.count(std::filesystem::path(path).extension().string()) > 0;
}

vector<string> Components(const string& path) {
  vector<string> components;
  for (const auto& part : std::filesystem::path(path)) components.push_back(part.string());
  return components;
}

struct Image {
  string path;
  vector<string> components;
};

vector<Image> Images(const FileSet& files) {
  vector<Image> images;
  vector<string> others;
  for (const string& path : files.Paths()) {
    if (IsImage(path)) {
      images.push_back({path, Components(path)});
    } else if (!IsText(path)) {
      others.push_back(path);
    }
  }
  LOG_IF(WARNING, !others.empty())
      << others.size() << " file(s) are left out, as their names do not end as an image's: "
      << files.Where(others.front()) << (others.size() > 1 ? ", ..." : "");
  ENFORCE(!images.empty()) << files.Describe() << ": there are no images";
  // Folders around all images tell nothing.
  for (;;) {
    std::set<string> first;
    for (const Image& image : images) {
      ENFORCE(image.components.size() > 1)
          << files.Where(image.path) << ": lies in no class folder";
      first.insert(image.components[0]);
    }
    if (first.size() > 1 || images[0].components.size() <= 2) return images;
    for (Image& image : images) image.components.erase(image.components.begin());
  }
}

// The part that a folder's name stands for; "" where it is no such name.
string PartName(const string& folder) {
  static const std::map<string, string> kParts = {
      {"train", "train"}, {"training", "train"}, {"test", "test"}, {"testing", "test"},
      {"val", "val"},     {"validation", "val"}, {"valid", "val"}};
  string lower = folder;
  std::transform(lower.begin(), lower.end(), lower.begin(), ::tolower);
  const auto found = kParts.find(lower);
  return found == kParts.end() ? "" : found->second;
}

// Labels for class folders, in the order of their names.
void AddImages(const FileSet& files, const vector<Image>& images, size_t class_at,
               const std::map<string, int>& labels, Part* part) {
  for (const Image& image : images) {
    ENFORCE(image.components.size() > class_at + 1)
        << files.Where(image.path) << ": lies in no class folder";
    const auto found = labels.find(image.components[class_at]);
    ENFORCE(found != labels.end()) << files.Where(image.path) << ": there is no training image of "
                                   << "class '" << image.components[class_at] << "'";
    part->files.push_back(image.path);
    part->labels.push_back(found->second);
  }
}

std::map<string, int> ClassLabels(const FileSet& files, const vector<Image>& images,
                                  size_t class_at, vector<string>* classes) {
  std::map<string, int> labels;
  for (const Image& image : images) {
    ENFORCE(image.components.size() > class_at + 1)
        << files.Where(image.path) << ": lies in no class folder";
    labels[image.components[class_at]] = 0;
  }
  int next = 0;
  for (auto& entry : labels) {
    entry.second = next++;
    classes->push_back(entry.first);
  }
  return labels;
}

}  // namespace

Dataset ReadFolder(const FileSet& files) {
  const vector<Image> images = Images(files);
  std::map<string, vector<Image>> parts;
  for (const Image& image : images) parts[PartName(image.components[0])].push_back(image);
  Dataset set;
  if (parts.count("") > 0) {  // classes at the top
    for (const Image& image : images) {
      ENFORCE(PartName(image.components[0]).empty() || image.components.size() < 3)
          << files.Describe() << ": beside '" << image.components[0]
          << "' with classes in it there is '" << parts[""][0].components[0]
          << "', which is no part (train, val, test)";
    }
    const auto labels = ClassLabels(files, images, 0, &set.classes);
    AddImages(files, images, 0, labels, &set.train);
    return set;
  }
  ENFORCE(parts.count("train") > 0)
      << files.Describe() << ": beside '" << images[0].components[0] << "' there is no 'train'";
  const auto labels = ClassLabels(files, parts["train"], 1, &set.classes);
  AddImages(files, parts["train"], 1, labels, &set.train);
  if (parts.count("test") == 0) {
    AddImages(files, parts["val"], 1, labels, &set.test);
  } else {
    AddImages(files, parts["val"], 1, labels, &set.val);
    AddImages(files, parts["test"], 1, labels, &set.test);
  }
  return set;
}

Dataset ReadOmniglot(const FileSet& files) {
  // images_background/Greek/character01/0394_01.png: a class is a character of an alphabet.
  Dataset set;
  set.grey = true;
  std::map<string, vector<string>> classes;
  std::set<string> seen;  // the "small" sets have alphabets in common
  for (const string& path : files.Paths()) {
    if (!IsImage(path)) continue;
    const vector<string> components = Components(path);
    const size_t count = components.size();
    ENFORCE(count >= 3 && components[count - 2].compare(0, 9, "character") == 0)
        << files.Where(path) << ": ALPHABET/characterNN/IMAGE is expected";
    const string name = components[count - 3] + "/" + components[count - 2];
    if (seen.insert(name + "/" + components[count - 1]).second) classes[name].push_back(path);
  }
  ENFORCE(!classes.empty()) << files.Describe() << ": there are no images";
  for (const auto& entry : classes) {
    for (const string& path : entry.second) {
      set.train.files.push_back(path);
      set.train.labels.push_back(static_cast<int>(set.classes.size()));
    }
    set.classes.push_back(entry.first);
  }
  return set;
}

}  // namespace metaperturb
