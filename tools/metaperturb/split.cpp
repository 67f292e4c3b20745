// metaperturb split: source tasks from one labelled data set. A second run with the same flags does
// nothing; after one that was stopped it makes the LMDBs that are missing.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>

#include "caffe/proto/meta_solver.pb.h"
#include "caffe/util/db.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/rng.hpp"
#include "tools/common/dataset_writer.hpp"
#include "tools/metaperturb/commands.hpp"
#include "util/atomic_file.hpp"
#include "util/checksum.hpp"
#include "util/error.hpp"
#include "util/path_exists.hpp"

DEFINE_string(source, "", "LMDB of labelled images");
DEFINE_int32(groups, 5, "Groups that the classes are divided into; each gives two tasks");
DECLARE_string(output);
DECLARE_int64(seed);

namespace {

using std::string;
using std::vector;

// The images of one class, by their keys, and so the classes of a data set.
typedef std::map<int, vector<string>> Classes;

caffe::Datum Read(const string& source, caffe::db::Cursor* cursor) {
  caffe::Datum datum;
  ENFORCE(datum.ParseFromString(cursor->value()))
      << source << ": record '" << cursor->key() << "': is no Datum";
  return datum;
}

// `fingerprint` tells whether a source is still the same images in the same order.
Classes ReadClasses(const string& source, caffe::db::Cursor* cursor, string* fingerprint) {
  Classes classes;
  size_t images = 0;
  uint32_t crc = 0;
  for (cursor->SeekToFirst(); cursor->valid(); cursor->Next(), ++images) {
    classes[Read(source, cursor).label()].push_back(cursor->key());
    const string value = cursor->value();
    const string line = std::to_string(crc) + " " + cursor->key() + " " +
                        std::to_string(caffe::Crc32(value.data(), value.size()));
    crc = caffe::Crc32(line.data(), line.size());
  }
  *fingerprint = std::to_string(images) + " images, checksum " + std::to_string(crc);
  return classes;
}

struct Image {
  string key;
  int label;  // in the group
};

// One half of a group's images, in the order in which they are written.
typedef vector<Image> Half;

// The classes, shuffled, are dealt out to the groups in turn; of each class, shuffled, the first
// half (and the odd image) goes to half 0. Both halves are then shuffled, as data layers read in
// order.
vector<std::pair<Half, Half>> Divide(Classes classes, int groups, uint64_t seed) {
  caffe::PhiloxEngine engine(caffe::PhiloxKey(seed, 0));
  vector<int> order;
  for (const auto& entry : classes) order.push_back(entry.first);
  caffe::shuffle(order.begin(), order.end(), &engine);
  vector<std::pair<Half, Half>> result(groups);
  for (size_t i = 0; i < order.size(); ++i) {
    std::pair<Half, Half>& group = result[i % groups];
    vector<string>& keys = classes[order[i]];
    ENFORCE(keys.size() >= 2) << "class " << order[i] << " has only one image";
    caffe::shuffle(keys.begin(), keys.end(), &engine);
    for (size_t k = 0; k < keys.size(); ++k) {
      (k < (keys.size() + 1) / 2 ? group.first : group.second)
          .push_back({keys[k], static_cast<int>(i / groups)});
    }
  }
  for (auto& group : result) {
    caffe::shuffle(group.first.begin(), group.first.end(), &engine);
    caffe::shuffle(group.second.begin(), group.second.end(), &engine);
  }
  return result;
}

// Whether `file` is there; its first line tells the flags that made the folder.
bool IsMade(const string& file, const string& settings) {
  if (!caffe::PathExists(file)) return false;
  string made;
  std::getline(std::ifstream(file), made);
  ENFORCE(made == settings) << file << ": is there already, made by '"
                            << (made.size() > 2 ? made.substr(2) : "something else") << "'";
  return true;
}

}  // namespace

int RunSplit() {
  ENFORCE(!FLAGS_source.empty()) << "--source is not given";
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  ENFORCE(FLAGS_groups > 0) << "--groups=" << FLAGS_groups << ": must be above 0";
  const uint64_t seed = FLAGS_seed < 0 ? 1 : static_cast<uint64_t>(FLAGS_seed);
  const string list = FLAGS_output + "/tasks.prototxt";
  const string settings = "# metaperturb split --source=" + FLAGS_source +
                          " --groups=" + std::to_string(FLAGS_groups) +
                          " --seed=" + std::to_string(seed);
  if (IsMade(list, settings)) {
    std::cout << list << ": is there already" << std::endl;
    return 0;
  }

  std::unique_ptr<caffe::db::DB> db(caffe::db::GetDB("lmdb"));
  db->Open(FLAGS_source, caffe::db::READ);
  std::unique_ptr<caffe::db::Cursor> cursor(db->NewCursor());
  string fingerprint;
  const Classes classes = ReadClasses(FLAGS_source, cursor.get(), &fingerprint);
  ENFORCE(static_cast<int>(classes.size()) / 2 >= FLAGS_groups)
      << FLAGS_source << ": has " << classes.size()
      << " classes, too few for --groups=" << FLAGS_groups << " of at least two";
  vector<std::pair<Half, Half>> groups;
  try {
    groups = Divide(classes, FLAGS_groups, seed);
  } catch (const caffe::Error& e) {
    throw caffe::Error(FLAGS_source + ": " + e.what());
  }

  std::error_code error;
  std::filesystem::create_directories(FLAGS_output, error);
  ENFORCE(!error) << FLAGS_output << ": cannot be made: " << error.message();
  const string begun = FLAGS_output + "/settings.txt";
  const bool goes_on = IsMade(begun, settings);
  const string source = settings + "\n# " + fingerprint + "\n";
  if (goes_on) {
    std::ostringstream before;
    before << std::ifstream(begun).rdbuf();
    ENFORCE(before.str() == source) << begun << ": was begun with other images in " << FLAGS_source
                                    << "; remove " << FLAGS_output;
  } else {
    caffe::WriteFile(begun, source);
  }
  string tasks = settings + "\n";
  for (int g = 0; g < FLAGS_groups; ++g) {
    const string name = "group" + std::to_string(g);
    const Half* halves[] = {&groups[g].first, &groups[g].second};
    string sources[2];
    for (int h = 0; h < 2; ++h) {
      sources[h] = FLAGS_output + "/" + name + "_" + "ab"[h] + "_lmdb";
      if (goes_on && caffe::PathExists(sources[h])) continue;
      const Half& half = *halves[h];
      metaperturb::WriteLmdb(sources[h], static_cast<int>(half.size()), [&](int i) {
        cursor->SeekToKey(half[i].key);
        ENFORCE(cursor->valid()) << FLAGS_source << ": record '" << half[i].key << "' is gone";
        caffe::Datum datum = Read(FLAGS_source, cursor.get());
        datum.set_label(half[i].label);
        return datum;
      });
    }
    int labels = 0;
    for (const Image& image : groups[g].first) labels = std::max(labels, image.label + 1);
    for (int h = 0; h < 2; ++h) {
      caffe::MetaTaskList task;
      task.add_task()->set_name(name + "_" + "ab"[h]);
      task.mutable_task(0)->set_train_source(sources[h]);
      task.mutable_task(0)->set_val_source(sources[1 - h]);
      task.mutable_task(0)->set_num_output(static_cast<uint32_t>(labels));
      tasks += task.DebugString();
    }
  }
  caffe::WriteFile(list, tasks);
  std::cout << list << ": " << 2 * FLAGS_groups << " tasks of " << classes.size() << " classes"
            << std::endl;
  return 0;
}
