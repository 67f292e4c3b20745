#ifndef METAPERTURB_TOOLS_COMMON_CIFAR_FILE_HPP_
#define METAPERTURB_TOOLS_COMMON_CIFAR_FILE_HPP_

#include <string>
#include <vector>

#include "caffe/proto/caffe.pb.h"

namespace metaperturb {

/// Records of the binary version of CIFAR: one label byte (in CIFAR-100 two, coarse and fine) and
/// 3x32x32 bytes, red first.
class CifarRecords {
 public:
  enum Labels { CIFAR10, CIFAR100_COARSE, CIFAR100_FINE };
  explicit CifarRecords(Labels kind) : kind_(kind) {}

  /// Appends a file's content; caffe::Error that names the file where it is truncated or a label
  /// is outside the classes.
  void Add(const std::string& name, const std::string& content);
  const std::vector<int>& labels() const { return labels_; }
  /// Image i with blue first, as in all of Caffe; without label.
  caffe::Datum Image(int i) const;

 private:
  size_t label_bytes() const { return kind_ == CIFAR10 ? 1 : 2; }

  Labels kind_;
  std::string bytes_;
  std::vector<int> labels_;
};

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_COMMON_CIFAR_FILE_HPP_
