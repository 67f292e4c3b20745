#ifndef METAPERTURB_TOOLS_CONVERT_DATASET_DATASET_HPP_
#define METAPERTURB_TOOLS_CONVERT_DATASET_DATASET_HPP_

#include <functional>
#include <string>
#include <vector>

#include "caffe/proto/caffe.pb.h"
#include "tools/convert_dataset/file_set.hpp"

namespace metaperturb {

/// The training, validation or test part of a data set: labelled images, either one per file or
/// arrays in memory.
struct Part {
  std::string name;  // "train", "val" or "test"
  std::vector<int> labels;
  std::vector<std::string> files;          // paths in the FileSet, one per label; or empty
  std::function<caffe::Datum(int)> array;  // image i, planes in Caffe's order (blue first)
  bool empty() const { return labels.empty(); }
};

/// A data set as its authors publish it.
struct Dataset {
  std::vector<std::string> classes;  // names, by label
  Part train, val, test;             // empty where the authors define none
  bool grey = false;                 // one channel
  int crop_bottom = 0;               // rows below the picture (FGVC-Aircraft's banner)
};

// Each reads one data set's publication; caffe::Error names what is missing or does not fit. Parts
// that are named here are the authors'; README.md in data/ tells where to get the files.
// All images in a few files:
Dataset ReadCifar10(const FileSet& files);       // cifar-10-binary.tar.gz
Dataset ReadCifar100(const FileSet& files);      // cifar-100-binary.tar.gz; fine labels
Dataset ReadStl10(const FileSet& files);         // stl10_binary.tar.gz; the labelled images
Dataset ReadSvhn(const FileSet& files);          // train_32x32.mat, test_32x32.mat
Dataset ReadMnist(const FileSet& files);         // the four IDX files
Dataset ReadFashionMnist(const FileSet& files);  // the four IDX files
// A file per image, with lists:
Dataset ReadTinyImagenet(const FileSet& files);  // tiny-imagenet-200.zip; test: "val"
Dataset ReadDtd(const FileSet& files);           // dtd-r1.0.1.tar.gz; train1 and val1, test1
Dataset ReadAircraft(const FileSet& files);      // fgvc-aircraft-2013b.tar.gz; variants; trainval
Dataset ReadCub200(const FileSet& files);        // CUB_200_2011.tgz
Dataset ReadCars(const FileSet& files);          // cars_train.tgz, cars_test.tgz, annotations
Dataset ReadDogs(const FileSet& files);          // images.tar, lists.tar
// A file per image in a folder per class:
Dataset ReadOmniglot(
    const FileSet& files);                 // images_background.zip, images_evaluation.zip; no test
Dataset ReadFolder(const FileSet& files);  // CLASS/..., or train/CLASS/... and test/CLASS/...

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_CONVERT_DATASET_DATASET_HPP_
