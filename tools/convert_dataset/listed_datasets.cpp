// Data sets with one file per image, and lists that tell label and part.

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "tools/convert_dataset/dataset.hpp"
#include "tools/convert_dataset/mat_file.hpp"
#include "util/error.hpp"

namespace metaperturb {

using std::string;
using std::vector;

namespace {

// A text file of a data set, and the folder that it lies in.
struct List {
  List(const FileSet& files, const string& ending)
      : path(files.Find(ending)),
        where(files.Where(path)),
        root(path.substr(0, path.size() - ending.size())),
        lines(files.ReadLines(path)) {
    ENFORCE(!lines.empty()) << where << ": is empty";
  }
  string path, where, root;
  vector<string> lines;
};

// The words of a line; the last of `count` takes the rest.
vector<string> Words(const List& list, size_t line, size_t count) {
  std::stringstream stream(list.lines[line]);
  vector<string> words(count);
  for (size_t i = 0; i < count; ++i) {
    if (i + 1 < count) {
      stream >> words[i];
    } else {
      std::getline(stream >> std::ws, words[i]);
    }
    ENFORCE(!words[i].empty()) << list.where << ": line " << line + 1 << ": '" << list.lines[line]
                               << "' has fewer than " << count << " words";
  }
  return words;
}

std::map<string, int> Numbered(const vector<string>& names) {
  std::map<string, int> numbers;
  for (size_t i = 0; i < names.size(); ++i) numbers[names[i]] = static_cast<int>(i);
  return numbers;
}

int LabelOf(const std::map<string, int>& labels, const string& name, const string& where) {
  const auto found = labels.find(name);
  ENFORCE(found != labels.end()) << where << ": '" << name << "' is no class";
  return found->second;
}

void AddImage(const FileSet& files, const string& list, const string& path, int label, Part* part) {
  ENFORCE(files.Has(path)) << list << ": names '" << path << "', which is not in "
                           << files.Describe();
  part->files.push_back(path);
  part->labels.push_back(label);
}

bool StartsWith(const string& text, const string& start) {
  return text.compare(0, start.size(), start) == 0;
}

// A label from a MATLAB file, where they begin at 1.
int MatlabLabel(const string& where, double number, size_t classes) {
  ENFORCE(number == std::floor(number) && number >= 1 && number <= static_cast<double>(classes))
      << where << ": label " << number << " where 1 to " << classes << " are expected";
  return static_cast<int>(number) - 1;
}

void AddDtdList(const FileSet& files, const string& name, const std::map<string, int>& labels,
                Part* part) {
  const List list(files, "labels/" + name + ".txt");
  for (const string& line : list.lines) {
    AddImage(files, list.where, list.root + "images/" + line,
             LabelOf(labels, line.substr(0, line.find('/')), list.where), part);
  }
}

void AddAircraftList(const FileSet& files, const string& name, const std::map<string, int>& labels,
                     Part* part) {
  const List list(files, "data/images_variant_" + name + ".txt");
  for (size_t i = 0; i < list.lines.size(); ++i) {
    const vector<string> words = Words(list, i, 2);  // "1025794 707-320"
    AddImage(files, list.where, list.root + "data/images/" + words[0] + ".jpg",
             LabelOf(labels, words[1], list.where), part);
  }
}

void AddCarsList(const FileSet& files, const string& annotations, const string& folder,
                 size_t classes, Part* part) {
  const string path = files.Find(annotations), where = files.Where(path);
  const MatFile file(where, files.Read(path));
  const vector<string> names = file.FieldTexts("annotations", "fname");
  const vector<double> numbers = file.FieldNumbers("annotations", "class");
  ENFORCE(!names.empty()) << where << ": is empty";
  const string first = files.Find(folder + "/" + names[0]);
  const string root = first.substr(0, first.size() - names[0].size());
  for (size_t i = 0; i < names.size(); ++i) {
    AddImage(files, where, root + names[i], MatlabLabel(where, numbers[i], classes), part);
  }
}

void AddDogsList(const FileSet& files, const string& name, const vector<string>& images,
                 std::map<int, string>* classes, Part* part) {
  const string path = files.Find(name + "_list.mat"), where = files.Where(path);
  const MatFile file(where, files.Read(path));
  const vector<string> listed = file.Texts("file_list");
  const vector<double> numbers = file.Numbers("labels");
  ENFORCE(listed.size() == numbers.size())
      << where << ": has " << listed.size() << " images and " << numbers.size() << " labels";
  const string root = images.front().substr(0, images.front().find("Images/"));
  for (size_t i = 0; i < listed.size(); ++i) {
    const int label = MatlabLabel(where, numbers[i], 120);
    (*classes)[label] = listed[i].substr(0, listed[i].find('/'));
    AddImage(files, where, root + "Images/" + listed[i], label, part);
  }
}

}  // namespace

Dataset ReadTinyImagenet(const FileSet& files) {
  const List ids(files, "wnids.txt");
  Dataset set;
  set.classes = ids.lines;
  std::sort(set.classes.begin(), set.classes.end());
  const std::map<string, int> labels = Numbered(set.classes);
  const string train = ids.root + "train/";
  for (const string& path : files.Paths()) {
    if (!StartsWith(path, train) || path.find("/images/") == string::npos) continue;
    const string id = path.substr(train.size(), path.find('/', train.size()) - train.size());
    AddImage(files, ids.where, path, LabelOf(labels, id, files.Where(path)), &set.train);
  }
  ENFORCE(!set.train.empty()) << files.Describe() << ": there are no images in " << train;
  const List val(files, "val/val_annotations.txt");
  for (size_t i = 0; i < val.lines.size(); ++i) {
    const vector<string> words = Words(val, i, 3);  // file, class, its box
    AddImage(files, val.where, ids.root + "val/images/" + words[0],
             LabelOf(labels, words[1], val.where), &set.test);
  }
  return set;
}

Dataset ReadDtd(const FileSet& files) {
  Dataset set;
  const string images = "/images/";
  for (const string& path : files.Paths()) {
    const size_t at = ("/" + path).find(images);
    const size_t end = at == string::npos ? at : path.find('/', at + images.size() - 1);
    if (end == string::npos) continue;
    const string name = path.substr(at + images.size() - 1, end - at - images.size() + 1);
    if (set.classes.empty() || set.classes.back() != name) set.classes.push_back(name);
  }
  ENFORCE(!set.classes.empty()) << files.Describe() << ": there is no folder images/ with classes";
  const std::map<string, int> labels = Numbered(set.classes);
  AddDtdList(files, "train1", labels, &set.train);
  AddDtdList(files, "val1", labels, &set.train);
  AddDtdList(files, "test1", labels, &set.test);
  return set;
}

Dataset ReadAircraft(const FileSet& files) {
  Dataset set;
  set.classes = List(files, "data/variants.txt").lines;
  const std::map<string, int> labels = Numbered(set.classes);
  AddAircraftList(files, "trainval", labels, &set.train);
  AddAircraftList(files, "test", labels, &set.test);
  set.crop_bottom = 20;
  return set;
}

Dataset ReadCub200(const FileSet& files) {
  Dataset set;
  const List classes(files, "classes.txt"), images(files, "images.txt");
  const List labels(files, "image_class_labels.txt"), parts(files, "train_test_split.txt");
  for (size_t i = 0; i < classes.lines.size(); ++i) {
    set.classes.push_back(Words(classes, i, 2)[1]);
  }
  std::map<string, string> label_of, trains;
  for (size_t i = 0; i < labels.lines.size(); ++i) {
    const vector<string> words = Words(labels, i, 2);
    label_of[words[0]] = words[1];
  }
  for (size_t i = 0; i < parts.lines.size(); ++i) {
    const vector<string> words = Words(parts, i, 2);
    trains[words[0]] = words[1];
  }
  for (size_t i = 0; i < images.lines.size(); ++i) {
    const vector<string> words = Words(images, i, 2);  // "1 001.Black_footed_Albatross/....jpg"
    const string& id = words[0];
    ENFORCE(label_of.count(id)) << labels.where << ": image " << id << " is not there";
    ENFORCE(trains.count(id)) << parts.where << ": image " << id << " is not there";
    const int label =
        MatlabLabel(labels.where, std::atof(label_of[id].c_str()), set.classes.size());
    AddImage(files, images.where, images.root + "images/" + words[1], label,
             trains[id] == "1" ? &set.train : &set.test);
  }
  return set;
}

Dataset ReadCars(const FileSet& files) {
  Dataset set;
  const string meta = files.Find("cars_meta.mat");
  set.classes = MatFile(files.Where(meta), files.Read(meta)).Texts("class_names");
  AddCarsList(files, "cars_train_annos.mat", "cars_train", set.classes.size(), &set.train);
  AddCarsList(files, "cars_test_annos_withlabels.mat", "cars_test", set.classes.size(), &set.test);
  return set;
}

Dataset ReadDogs(const FileSet& files) {
  vector<string> images;
  for (const string& path : files.Paths()) {
    if (("/" + path).find("/Images/") != string::npos) images.push_back(path);
  }
  ENFORCE(!images.empty()) << files.Describe() << ": there is no folder Images/";
  Dataset set;
  std::map<int, string> classes;
  AddDogsList(files, "train", images, &classes, &set.train);
  AddDogsList(files, "test", images, &classes, &set.test);
  ENFORCE(classes.size() == static_cast<size_t>(classes.rbegin()->first) + 1)
      << files.Describe() << ": the lists have labels up to " << classes.rbegin()->first + 1
      << ", and " << classes.size() << " of them have images";
  for (const auto& entry : classes) set.classes.push_back(entry.second);
  return set;
}

}  // namespace metaperturb
