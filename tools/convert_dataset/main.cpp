// convert_dataset: a data set, from the files that its authors publish, to LMDB.
//   convert_dataset --dataset=cifar10 --source=cifar-10-binary.tar.gz --output=data/cifar10
// Writes OUTPUT/train_lmdb, OUTPUT/test_lmdb (and val_lmdb), labels.txt with the names of the
// classes, and settings.txt. A second run with the same settings does nothing; one that was stopped
// goes on with the part that it was at. data/README.md has the data sets.

#include <gflags/gflags.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <opencv2/core/utility.hpp>
#include <sstream>

#include "caffe/common.hpp"
#include "caffe/util/io.hpp"
#include "tools/common/dataset_writer.hpp"
#include "tools/common/lmdb_writer.hpp"
#include "tools/convert_dataset/catalogue.hpp"
#include "tools/convert_dataset/convert_part.hpp"
#include "util/atomic_file.hpp"
#include "util/path_exists.hpp"
#include "util/progress.hpp"
#include "util/threads.hpp"

DEFINE_string(dataset, "", "cifar10, tiny_imagenet, ..., folder: see --list");
DEFINE_string(source, "",
              "What was downloaded: archives, files, or folders of what is in them, "
              "separated by commas");
DEFINE_string(output, "", "Folder to write to");
DEFINE_bool(list, false, "List the data sets, their defaults and their files");
DEFINE_int32(size, -1, "Height and width to resize to; default: 32 or 84, by data set");
DEFINE_int32(pad, -1, "Zero pixels to add on each side; default: 4 for 32, 8 for 84");
DEFINE_bool(color, false, "Give grey images three equal channels");
DEFINE_string(classes, "", "Classes to keep, as in 0,2,5; they become 0, 1, 2. Default: all");
DEFINE_int32(per_class, -1, "Training images to take of each class; 0: all");
DEFINE_int32(val_per_class, 0, "Training images of each class to set apart as val_lmdb");
DEFINE_int32(test_per_class, -1,
             "Images of each class to set apart as test_lmdb, where the authors define no test "
             "part; the same for every seed");
DEFINE_int32(seed, 1, "Of the choice and the order of the images");

namespace {

namespace fs = std::filesystem;
using metaperturb::CatalogueEntry;
using metaperturb::Part;
using metaperturb::Subset;
using std::string;
using std::vector;

// The command line, with the data set's defaults.
struct Settings {
  const CatalogueEntry* entry;
  vector<string> sources;
  metaperturb::ImageSettings image;
  int per_class, val_per_class, test_per_class;
  vector<int> classes;
  uint64_t seed;
};

int OrDefault(const char* name, int value, int otherwise) {
  ENFORCE(value >= -1) << "--" << name << "=" << value << " is negative";
  return value == -1 ? otherwise : value;
}

Settings ReadFlags() {
  ENFORCE(!FLAGS_dataset.empty()) << "--dataset is not given (see --list)";
  ENFORCE(!FLAGS_source.empty()) << "--source is not given";
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  Settings s;
  s.entry = &metaperturb::FindInCatalogue(FLAGS_dataset);
  std::stringstream sources(FLAGS_source);
  for (string source; std::getline(sources, source, ',');) {
    std::error_code error;
    ENFORCE(!fs::equivalent(source, FLAGS_output, error))
        << "--output=" << FLAGS_output << ": is the --source; give another folder";
    s.sources.push_back(source);
  }
  s.image.size = OrDefault("size", FLAGS_size, s.entry->size);
  ENFORCE(s.image.size > 0) << "--size=" << FLAGS_size << " is no size";
  ENFORCE(s.image.size <= metaperturb::kMaxExtent)
      << "--size=" << FLAGS_size << ": must not exceed " << metaperturb::kMaxExtent;
  s.image.pad = OrDefault("pad", FLAGS_pad, s.entry->pad);
  s.image.color = FLAGS_color;
  s.per_class = OrDefault("per_class", FLAGS_per_class, s.entry->per_class);
  s.val_per_class = OrDefault("val_per_class", FLAGS_val_per_class, 0);
  s.test_per_class = OrDefault("test_per_class", FLAGS_test_per_class, s.entry->test_per_class);
  s.classes = metaperturb::ParseClasses(FLAGS_classes);
  s.seed = static_cast<uint64_t>(FLAGS_seed);
  return s;
}

string Describe(const Settings& s) {
  std::ostringstream text;
  text << "dataset: " << s.entry->name << "\n";
  for (const string& source : s.sources) {
    text << "source: " << metaperturb::FileSet::Summary(source) << "\n";
  }
  text << "size: " << s.image.size << "\npad: " << s.image.pad << "\ncolor: " << s.image.color
       << "\nper_class: " << s.per_class << "\nval_per_class: " << s.val_per_class
       << "\ntest_per_class: " << s.test_per_class << "\nclasses:";
  for (const int label : s.classes) text << " " << label;
  text << "\nseed: " << s.seed << "\n";
  return text.str();
}

string ReadText(const string& file) {
  std::ifstream stream(file);
  return string(std::istreambuf_iterator<char>(stream), {});
}

// An Error where the folder was made with other settings.
void CheckSettings(const string& file, const string& settings) {
  std::stringstream before(ReadText(file)), now(settings);
  string there, asked;
  while (std::getline(now, asked)) {
    std::getline(before, there);
    ENFORCE(there == asked) << file << ": '" << there << "' was asked for before, now '" << asked
                            << "'; remove the folder or give another --output";
  }
}

// One LMDB to write.
struct Plan {
  string name;  // train, val or test
  const Part* part;
  vector<int> chosen;
};

vector<int> SelectFrom(const Part& part, const string& name, int per_class, int skip,
                       const Settings& s, uint64_t seed) {
  Subset subset;
  subset.classes = s.classes;
  subset.per_class = per_class;
  subset.skip_per_class = skip;
  subset.seed = seed;
  subset.may_be_fewer = true;  // CheckClasses tells
  try {
    return metaperturb::Select(part.labels, subset);
  } catch (const caffe::Error& e) {
    throw caffe::Error(s.entry->name + ", " + name + ": " + e.what());
  }
}

// The training images without the ones that are set apart for a test: the first of each class in
// an order that no flag changes.
Part SetApart(const Part& part, const vector<int>& taken) {
  vector<char> is_taken(part.labels.size());
  for (const int i : taken) is_taken[i] = 1;
  Part rest{part.name, {}, {}, nullptr};
  for (size_t i = 0; i < part.labels.size(); ++i) {
    if (is_taken[i]) continue;
    rest.labels.push_back(part.labels[i]);
    rest.files.push_back(part.files[i]);
  }
  return rest;
}

// A class whose training images are all taken for other parts is an Error, one with fewer training
// or validation images than asked for is told.
void CheckClasses(const Settings& s, const metaperturb::Dataset& set, const Plan& plan,
                  int per_class) {
  vector<int> count(set.classes.size()), all(set.classes.size());
  for (const int label : set.train.labels) ++all[label];
  for (const int i : plan.chosen) ++count[plan.part->labels[i]];
  for (size_t label = 0; label < count.size(); ++label) {
    const bool is_named =
        std::find(s.classes.begin(), s.classes.end(), static_cast<int>(label)) != s.classes.end();
    const bool wanted = s.classes.empty() ? all[label] > 0 : is_named;
    if (!wanted) continue;
    ENFORCE(count[label] > 0 || plan.name != "train")
        << s.entry->name << ": class '" << set.classes[label] << "' has no image left to train on";
    LOG_IF(WARNING, count[label] < per_class)
        << "class '" << set.classes[label] << "' has " << count[label] << " images to "
        << (plan.name == "train" ? "train on; --per_class is " : "validate; --val_per_class is ")
        << per_class;
  }
}

vector<Plan> MakePlans(const Settings& s, const metaperturb::Dataset& set, Part* rest) {
  const uint64_t kTestSeed = 0;
  vector<Plan> plans;
  const Part* train = &set.train;
  if (!set.test.empty()) {
    ENFORCE(FLAGS_test_per_class <= 0) << "--test_per_class=" << FLAGS_test_per_class << ": "
                                       << s.entry->name << " has a test part of its own";
    plans.push_back({"test", &set.test, SelectFrom(set.test, "test", 0, 0, s, s.seed)});
  } else if (s.test_per_class > 0) {
    Settings all = s;
    all.classes.clear();
    const vector<int> taken = SelectFrom(set.train, "test", s.test_per_class, 0, all, kTestSeed);
    *rest = SetApart(set.train, taken);
    ENFORCE(!rest->labels.empty()) << "--test_per_class=" << s.test_per_class << ": no class of "
                                   << s.entry->name << " has more images: none is left to train on";
    train = rest;
    plans.push_back(
        {"test", &set.train, SelectFrom(set.train, "test", s.test_per_class, 0, s, kTestSeed)});
  }
  if (s.val_per_class > 0) {
    ENFORCE(set.val.empty()) << "--val_per_class=" << s.val_per_class << ": " << s.entry->name
                             << " has a validation part of its own";
    plans.push_back(
        {"val", train, SelectFrom(*train, "val", s.val_per_class, s.per_class, s, s.seed)});
    CheckClasses(s, set, plans.back(), s.val_per_class);
  } else if (!set.val.empty()) {
    plans.push_back({"val", &set.val, SelectFrom(set.val, "val", 0, 0, s, s.seed)});
  }
  const int skip = s.per_class == 0 ? s.val_per_class : 0;
  plans.push_back({"train", train, SelectFrom(*train, "train", s.per_class, skip, s, s.seed)});
  CheckClasses(s, set, plans.back(), s.per_class);
  return plans;
}

string ClassNames(const Settings& s, const metaperturb::Dataset& set) {
  for (const string& name : set.classes) {
    ENFORCE(name.find('\n') == string::npos)
        << s.entry->name << ": class '" << name.substr(0, name.find('\n'))
        << "...': a line break in a class's name does not go into labels.txt";
  }
  string names;
  if (s.classes.empty()) {
    for (const string& name : set.classes) names += name + "\n";
  }
  for (const int label : s.classes) names += set.classes[label] + "\n";
  return names;
}

// Whether an earlier run with these settings finished; an Error where one with others began, or
// what would be overwritten or taken over is of no run.
bool IsComplete(const string& settings_file, const string& labels_file, const string& settings) {
  vector<string> made = {labels_file};
  for (const char* part : {"train", "val", "test"}) {
    made.push_back(FLAGS_output + "/" + part + "_lmdb");
  }
  const bool has_settings = caffe::PathExists(settings_file);
  ENFORCE(!has_settings || ReadText(settings_file).compare(0, 9, "dataset: ") == 0)
      << settings_file << ": is not of an earlier run; give another --output";
  bool begun = false;
  for (const string& path : made) {
    begun = begun || caffe::PathExists(path);
    ENFORCE(!begun || has_settings) << path << ": is there without the settings.txt of an earlier "
                                    << "run; give another --output";
  }
  if (!begun) return false;
  CheckSettings(settings_file, settings);
  // The names are written last.
  if (!caffe::PathExists(labels_file) || !caffe::PathExists(FLAGS_output + "/train_lmdb"))
    return false;
  LOG(INFO) << FLAGS_output << ": is complete already.";
  return true;
}

// A folder with images of the source is none to write to: it would count as output the next time.
void RefusePartOfSource(const Settings& s) {
  std::error_code error;
  if (!fs::is_directory(FLAGS_output, error) || fs::is_empty(FLAGS_output, error)) return;
  const fs::path output = fs::weakly_canonical(FLAGS_output, error);
  for (const string& source : s.sources) {
    const fs::path within = output.lexically_relative(fs::weakly_canonical(source, error));
    ENFORCE(within.empty() || *within.begin() == "..")
        << "--output=" << FLAGS_output << ": is part of --source=" << source
        << "; give another folder";
  }
}

void Convert() {
  const Settings s = ReadFlags();
  const string settings = Describe(s);
  const string settings_file = FLAGS_output + "/settings.txt";
  const string labels_file = FLAGS_output + "/labels.txt";
  if (IsComplete(settings_file, labels_file, settings)) return;
  if (!caffe::PathExists(settings_file)) RefusePartOfSource(s);
  const metaperturb::FileSet files(s.sources);
  const metaperturb::Dataset set = s.entry->read(files);
  for (const int label : s.classes) {
    ENFORCE(label < static_cast<int>(set.classes.size()))
        << "--classes=" << FLAGS_classes << ": " << s.entry->name << " has classes 0 to "
        << set.classes.size() - 1;
  }
  Part rest;
  const vector<Plan> plans = MakePlans(s, set, &rest);
  const string class_names = ClassNames(s, set);
  // Two runs with other settings must not share the folder.
  const metaperturb::LockedFolder lock(FLAGS_output, FLAGS_output);
  if (IsComplete(settings_file, labels_file, settings)) return;  // by now
  caffe::WriteFile(settings_file, settings);
  for (const Plan& plan : plans) {
    const string output = FLAGS_output + "/" + plan.name + "_lmdb";
    if (caffe::PathExists(output)) {
      LOG(INFO) << output << ": is there already.";
      continue;
    }
    Subset subset;
    subset.classes = s.classes;
    vector<int> label;
    for (const int i : plan.chosen) {
      label.push_back(metaperturb::NewLabel(subset, plan.part->labels[i]));
    }
    metaperturb::ConvertPart(files, set, *plan.part, plan.chosen, label, s.image, output);
  }
  caffe::WriteFile(labels_file, class_names);
}

void List() {
  for (const CatalogueEntry& entry : metaperturb::Catalogue()) {
    std::cout << entry.name << ": --size=" << entry.size << " --pad=" << entry.pad;
    if (entry.per_class > 0) std::cout << " --per_class=" << entry.per_class;
    if (entry.test_per_class > 0) std::cout << " --test_per_class=" << entry.test_per_class;
    std::cout << " --source=" << entry.sources << "\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    gflags::SetUsageMessage(
        "Converts a data set, as its authors publish it, to LMDB: --dataset --source --output");
    caffe::GlobalInit(&argc, &argv);
    ENFORCE(argc == 1) << "unexpected argument '" << argv[1] << "'";
    cv::setNumThreads(1);  // the images are what runs at the same time
    if (FLAGS_list) {
      List();
    } else {
      Convert();
    }
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}
