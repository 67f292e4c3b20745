#ifndef METAPERTURB_TOOLS_COMMON_DATASET_WRITER_HPP_
#define METAPERTURB_TOOLS_COMMON_DATASET_WRITER_HPP_

#include <functional>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace metaperturb {

/// Which records of a labelled data set are taken, and in which order.
struct Subset {
  std::vector<int>
      classes;             // kept, and relabelled 0, 1, ... in this order; empty: all, labels kept
  int per_class = 0;       // at most that many of each class; 0: all
  int skip_per_class = 0;  // after leaving out the first ones of the shuffled order
  uint64_t seed = 1;       // of the shuffling
  bool may_be_fewer = false;  // a class of `classes` that has too few gives what it has
};

/// Indices of the records of a subset, shuffled, given every record's label. Two calls with one
/// seed and disjoint [skip_per_class, skip_per_class + per_class) give disjoint records. An Error
/// when a class of subset.classes has too few.
std::vector<int> Select(const std::vector<int>& labels, const Subset& subset);

/// The label that a subset gives a class.
int NewLabel(const Subset& subset, int label);

/// "0,2,5" -> {0, 2, 5}
std::vector<int> ParseClasses(const std::string& text);

/// Writes `count` records to a new LMDB; record(i) makes them one by one. Keys: "00000000", ...,
/// with "_" and name(i) behind where `name` is given. Progress goes to the log, every `log_every`
/// records. The records are collected beside `output`, which is there when it is complete, or not
/// at all.
void WriteLmdb(const std::string& output, int count, const std::function<caffe::Datum(int)>& record,
               int log_every = 10000, const std::function<std::string(int)>& name = nullptr);

/// Largest height and width of an image that is written.
constexpr int kMaxExtent = 16384;

/// Resizes to size x size: by the mean over the pixels that fall into one where it shrinks, else
/// bilinear.
void ResizeTo(int size, const cv::Mat& image, cv::Mat* out);

/// The same for an image of bytes; 0: leaves it.
void Resize(int size, caffe::Datum* datum);

/// Surrounds an image of bytes with `pad` >= 0 zero pixels on each side; caffe::Error where it
/// exceeds kMaxExtent then.
void Pad(int pad, caffe::Datum* datum);

/// Bytes, unpacked when they are gzip; an Error with the name when they are truncated or damaged.
std::string MaybeGunzip(const std::string& name, std::string bytes);

/// A whole file, unpacked when it is gzip; an Error that names it when it is missing or damaged.
std::string ReadMaybeGzip(const std::string& file);

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_COMMON_DATASET_WRITER_HPP_
