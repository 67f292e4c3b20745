// Data sets whose images are arrays in a few large files.

#include <cmath>
#include <memory>

#include "tools/common/cifar_file.hpp"
#include "tools/common/dataset_writer.hpp"
#include "tools/common/idx_file.hpp"
#include "tools/convert_dataset/dataset.hpp"
#include "tools/convert_dataset/mat_file.hpp"
#include "util/error.hpp"

namespace metaperturb {

using std::string;
using std::vector;

namespace {

Part CifarPart(const FileSet& files, const string& name, CifarRecords::Labels kind,
               const vector<string>& names) {
  vector<string> paths, contents(names.size());
  for (const string& file : names) paths.push_back(files.Find(file));
  files.ReadAll(paths, [&](int i, string bytes) { contents[i] = std::move(bytes); });
  const auto records = std::make_shared<CifarRecords>(kind);
  for (size_t i = 0; i < paths.size(); ++i) records->Add(files.Where(paths[i]), contents[i]);
  return {name, records->labels(), {}, [records](int i) { return records->Image(i); }};
}

// Labels 0, ..., classes - 1 from numbers that begin at `first`.
vector<int> CheckedLabels(const string& where, const vector<int>& numbers, int first, int classes) {
  vector<int> labels;
  for (size_t i = 0; i < numbers.size(); ++i) {
    labels.push_back(numbers[i] - first);
    ENFORCE(labels.back() >= 0 && labels.back() < classes)
        << where << ": image " << i << " has label " << numbers[i] << " where " << first << " to "
        << first + classes - 1 << " are expected";
  }
  return labels;
}

// An image whose channels (red first) lie column by column; blue first and row by row in the Datum.
caffe::Datum FromColumns(const char* data, int size) {
  string bytes(size_t(3) * size * size, '\0');
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < size; ++y) {
      for (int x = 0; x < size; ++x) {
        bytes[(size_t(2 - c) * size + y) * size + x] = data[(size_t(c) * size + x) * size + y];
      }
    }
  }
  caffe::Datum datum;
  datum.set_channels(3);
  datum.set_height(size);
  datum.set_width(size);
  datum.set_data(bytes);
  return datum;
}

Part StlPart(const FileSet& files, const string& name, int classes) {
  const int kSize = 96;
  const size_t kImage = 3 * kSize * kSize;
  const string images_path = files.Find(name + "_X.bin"), labels_path = files.Find(name + "_y.bin");
  const auto images = std::make_shared<string>();
  vector<int> numbers;
  files.ReadAll({images_path, labels_path}, [&](int i, string bytes) {
    if (i == 0) {
      *images = std::move(bytes);
    } else {
      for (const char byte : bytes) numbers.push_back(static_cast<uint8_t>(byte));
    }
  });
  ENFORCE(!images->empty() && images->size() % kImage == 0)
      << files.Where(images_path) << ": is truncated: " << images->size()
      << " bytes are no multiple of " << kImage;
  ENFORCE(images->size() / kImage == numbers.size())
      << files.Where(images_path) << " has " << images->size() / kImage << " images, "
      << files.Where(labels_path) << " " << numbers.size() << " labels";
  return {name, CheckedLabels(files.Where(labels_path), numbers, 1, classes), {}, [=](int i) {
            return FromColumns(images->data() + i * kImage, kSize);
          }};
}

Part SvhnPart(const FileSet& files, const string& name) {
  const string path = files.Find(name + "_32x32.mat"), where = files.Where(path);
  const MatFile file(where, files.Read(path));
  vector<int> extent;
  const auto images = std::make_shared<string>(file.Bytes("X", &extent));
  ENFORCE(extent.size() == 4 && extent[0] == 32 && extent[1] == 32 && extent[2] == 3)
      << where << ": X is no array of 32x32x3xN";
  vector<int> labels;
  for (const double digit : file.Numbers("y")) {
    ENFORCE(digit >= 0 && digit <= 10 && digit == std::floor(digit))
        << where << ": image " << labels.size() << " has label " << digit
        << " where 1 to 10 are expected";
    labels.push_back(digit == 10 ? 0 : static_cast<int>(digit));  // 10 is the digit 0
  }
  ENFORCE(static_cast<int>(labels.size()) == extent[3])
      << where << ": has " << extent[3] << " images and " << labels.size() << " labels";
  return {name, CheckedLabels(where, labels, 0, 10), {}, [=](int i) {
            return FromColumns(images->data() + size_t(i) * 3 * 32 * 32, 32);
          }};
}

string FindIdx(const FileSet& files, const string& stem, const string& kind) {
  // The names under which it is found: with and without .gz, with "-" and with ".".
  for (const string& name : {stem + "-" + kind, stem + "." + kind}) {
    for (const char* end : {"", ".gz"}) {
      const string found = files.FindIfAny(name + end);
      if (!found.empty()) return found;
    }
  }
  return files.Find(stem + "-" + kind + ".gz");
}

Part IdxPart(const FileSet& files, const string& name, const string& stem) {
  const string images = FindIdx(files, stem + "-images", "idx3-ubyte");
  const string labels = FindIdx(files, stem + "-labels", "idx1-ubyte");
  const string images_name = files.Where(images), labels_name = files.Where(labels);
  const auto set =
      std::make_shared<IdxImages>(images_name, MaybeGunzip(images_name, files.Read(images)),
                                  labels_name, MaybeGunzip(labels_name, files.Read(labels)));
  return {name, CheckedLabels(labels_name, set->labels, 0, 10), {}, [set](int i) {
            return set->Image(i);
          }};
}

vector<string> Digits() {
  return {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
}

// The names in a list of classes; `count` of them.
vector<string> ReadClasses(const FileSet& files, const string& list, size_t count) {
  const string path = files.Find(list);
  const vector<string> names = files.ReadLines(path);
  ENFORCE(names.size() == count) << files.Where(path) << ": has " << names.size()
                                 << " classes where " << count << " are expected";
  return names;
}

// CIFAR is published in three versions; the file that names the classes tells them apart.
void CheckIsBinary(const FileSet& files, const string& list, const string& other_list,
                   const string& archive) {
  if (!files.FindIfAny(list).empty()) return;
  for (const string end : {"", ".mat"}) {
    ENFORCE(files.FindIfAny(other_list + end).empty())
        << files.Describe() << ": this is the " << (end.empty() ? "Python" : "Matlab")
        << " version; only the binary one can be read: " << archive;
  }
}

}  // namespace

Dataset ReadCifar10(const FileSet& files) {
  CheckIsBinary(files, "batches.meta.txt", "batches.meta", "cifar-10-binary.tar.gz");
  Dataset set;
  set.classes = ReadClasses(files, "batches.meta.txt", 10);
  vector<string> batches;
  for (int i = 1; i <= 5; ++i) batches.push_back("data_batch_" + std::to_string(i) + ".bin");
  set.train = CifarPart(files, "train", CifarRecords::CIFAR10, batches);
  set.test = CifarPart(files, "test", CifarRecords::CIFAR10, {"test_batch.bin"});
  return set;
}

Dataset ReadCifar100(const FileSet& files) {
  CheckIsBinary(files, "fine_label_names.txt", "meta", "cifar-100-binary.tar.gz");
  Dataset set;
  set.classes = ReadClasses(files, "fine_label_names.txt", 100);
  set.train = CifarPart(files, "train", CifarRecords::CIFAR100_FINE, {"train.bin"});
  set.test = CifarPart(files, "test", CifarRecords::CIFAR100_FINE, {"test.bin"});
  return set;
}

Dataset ReadStl10(const FileSet& files) {
  Dataset set;
  set.classes = ReadClasses(files, "class_names.txt", 10);
  set.train = StlPart(files, "train", 10);
  set.test = StlPart(files, "test", 10);
  return set;
}

Dataset ReadSvhn(const FileSet& files) {
  Dataset set;
  set.classes = Digits();
  set.train = SvhnPart(files, "train");
  set.test = SvhnPart(files, "test");
  return set;
}

Dataset ReadMnist(const FileSet& files) {
  Dataset set;
  set.classes = Digits();
  set.train = IdxPart(files, "train", "train");
  set.test = IdxPart(files, "test", "t10k");
  set.grey = true;
  return set;
}

Dataset ReadFashionMnist(const FileSet& files) {
  Dataset set = ReadMnist(files);
  set.classes = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                 "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  return set;
}

}  // namespace metaperturb
