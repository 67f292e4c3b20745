#ifndef CAFFE_UTIL_LABEL_KERNELS_HPP_
#define CAFFE_UTIL_LABEL_KERNELS_HPP_

// What the GPU halves of layers that read labels share; for .cu files.

#include <algorithm>

#include "caffe/blob.hpp"
#include "caffe/util/device_launch.hpp"
#include "caffe/util/device_workspace.hpp"

namespace caffe {

/// The labels of a batch, which are whole numbers in a floating-point array.
template <typename Dtype>
struct Labels {
  const Dtype* values;
  int classes, ignored;
  bool has_ignored;
  // What no int can hold, not a number included, is outside of the classes.
  CAFFE_HOST_DEVICE int At(int i) const {
    const Dtype value = values[i];
    const bool fits = value > Dtype(-2147483648.0) && value < Dtype(2147483648.0);
    return fits ? static_cast<int>(value) : -2147483647 - 1;
  }
  CAFFE_HOST_DEVICE bool Ignored(int label) const { return has_ignored && label == ignored; }
  CAFFE_HOST_DEVICE bool Counts(int label) const {
    return !Ignored(label) && label >= 0 && label < classes;
  }
  /// Neither ignored nor a class.
  CAFFE_HOST_DEVICE bool IsBad(int label) const { return !Ignored(label) && !Counts(label); }
};

/// The sum of some values, how many of the positions count, and how many labels are bad.
struct Tally {
  double sum = 0;
  int counted = 0, bad = 0;
};

namespace internal {

const int kTallyThreads = 256;

// Block b looks at the positions [b size, (b + 1) size).
template <class Terms>
struct TallyPart {
  Terms terms;
  int positions, size;
  double* parts;
  CAFFE_HOST_DEVICE void operator()(Block& block) const {
    const int begin = block.index() * size;
    const int count = positions - begin < size ? positions - begin : size;
    const double sum = block.Sum<double>(count, [&](int i) { return terms.Value(begin + i); });
    const int counted =
        block.Sum<int>(count, [&](int i) { return terms.Counts(begin + i) ? 1 : 0; });
    const int bad = block.Sum<int>(count, [&](int i) { return terms.IsBad(begin + i) ? 1 : 0; });
    double* part = parts + 3 * block.index();
    block.Run(1, [&](int) {
      part[0] = sum;
      part[1] = counted;
      part[2] = bad;
    });
  }
};

}  // namespace internal

/// Of the positions i = 0 .. positions - 1: the sum of terms.Value(i), a double, and how often
/// terms.Counts(i) and terms.IsBad(i). Waits for the GPU.
template <class Terms>
Tally TallyPositions(int positions, const Terms& terms) {
  const int most = 64, threads = internal::kTallyThreads;
  const int size = std::max(4 * threads, (positions + most - 1) / most);
  const int parts = std::max(1, (positions + size - 1) / size);
  DeviceWorkspace workspace;
  auto* on_gpu = workspace.Get<double>(3 * most);
  ForEachBlock(parts, threads, 0, internal::TallyPart<Terms>{terms, positions, size, on_gpu});
  double found[3 * most];
  Device::Get().CopyToHost(found, on_gpu, 3 * parts * sizeof(double));
  Tally tally;
  for (int p = 0; p < parts; ++p) {
    tally.sum += found[3 * p];
    tally.counted += static_cast<int>(found[3 * p + 1]);
    tally.bad += static_cast<int>(found[3 * p + 2]);
  }
  return tally;
}

/// Throws the Error that names the first bad label; an image has `inner` of them. Where there is
/// one: this takes all of them to the host.
template <typename Dtype>
void NameBadLabel(const Labels<Dtype>& labels, const Blob<Dtype>& blob, int inner) {
  Labels<Dtype> on_host = labels;
  on_host.values = blob.cpu_data();
  for (int i = 0; i < blob.count(); ++i) {
    ENFORCE(!on_host.IsBad(on_host.At(i)))
        << "label " << on_host.values[i] << " of image " << i / inner
        << " of the batch is outside of the " << labels.classes << " classes (0 to "
        << labels.classes - 1 << ")";
  }
}

}  // namespace caffe

#endif  // CAFFE_UTIL_LABEL_KERNELS_HPP_
