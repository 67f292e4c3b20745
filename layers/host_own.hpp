#ifndef METAPERTURB_LAYERS_HOST_OWN_HPP_
#define METAPERTURB_LAYERS_HOST_OWN_HPP_

// layers/host.hpp for this project's framework, whose blobs keep channel blocks and whose nets name
// the layer in every error.

#include <string>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/util/io.hpp"

namespace metaperturb {

template <typename Dtype>
int DataBlock(const caffe::Blob<Dtype>& blob) {
  return blob.data_block();
}
template <typename Dtype>
int DiffBlock(const caffe::Blob<Dtype>& blob) {
  return blob.diff_block();
}

template <typename Dtype>
class BlockedInput {
 public:
  const Dtype* Data(const caffe::Blob<Dtype>& blob, int block) { return blob.cpu_data(block); }
  const Dtype* Diff(const caffe::Blob<Dtype>& blob, int block) { return blob.cpu_diff(block); }
};

template <typename Dtype>
class BlockedOutput {
 public:
  /// Memory to be filled; what it held is lost. Done() afterwards.
  Dtype* Data(caffe::Blob<Dtype>* blob, int block) { return blob->overwrite_cpu_data(block); }
  Dtype* Diff(caffe::Blob<Dtype>* blob, int block) { return blob->overwrite_cpu_diff(block); }
  void Done() {}
};

template <typename Dtype>
class HostLayer : public caffe::Layer<Dtype> {
 protected:
  explicit HostLayer(const caffe::LayerParameter& param) : caffe::Layer<Dtype>(param) {}
  /// Once per Forward.
  void BeginPass() {}
  /// Philox key of the layer's random numbers, and the number of the current forward pass.
  uint64_t noise_key() const { return this->random_key(); }
  uint64_t noise_pass() const { return this->pass(); }
  /// Whether the gradient of that parameter is wanted.
  bool Learns(int param) const { return this->param_propagate_down(param); }
};

inline bool ComputesOnGpu() {
  return caffe::Caffe::mode() == caffe::Caffe::GPU;
}

template <class Layer, class Work>
auto InLayer(const Layer&, const Work& work) -> decltype(work()) {
  return work();
}

inline void ReadProto(const std::string& file, bool text, google::protobuf::Message* message) {
  if (text) {
    caffe::ReadProtoFromTextFileOrDie(file, message);
  } else {
    caffe::ReadProtoFromBinaryFileOrDie(file, message);
  }
}

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_HOST_OWN_HPP_
