#ifndef METAPERTURB_LAYERS_HOST_FOREIGN_HPP_
#define METAPERTURB_LAYERS_HOST_FOREIGN_HPP_

// layers/host.hpp for a Caffe of the user's own: only what Caffe 1.0's public headers declare.

#include <cstdint>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/layer.hpp"
#include "caffe/util/math_functions.hpp"
#include "layers/aligned_vector.hpp"
#include "util/channel_blocks.hpp"
#include "util/error.hpp"
#include "util/philox.hpp"

namespace metaperturb {

/// Whether the host's memory can be used as it is: vector loads ask for whole cache lines.
inline bool CanStay(const caffe::ChannelBlocks& layout, const void* plain) {
  return layout.block == 1 || (layout.IsPlain() && reinterpret_cast<uintptr_t>(plain) % 64 == 0);
}

template <typename Dtype>
int DataBlock(const caffe::Blob<Dtype>&) {
  return 1;
}
template <typename Dtype>
int DiffBlock(const caffe::Blob<Dtype>&) {
  return 1;
}

/// The host's blobs are plain; float is copied into channel blocks, double stays plain.
template <typename Dtype>
class BlockedInput {
 public:
  const Dtype* Data(const caffe::Blob<Dtype>& blob, int block) {
    return Copy(blob, blob.cpu_data(), block);
  }
  const Dtype* Diff(const caffe::Blob<Dtype>& blob, int block) {
    return Copy(blob, blob.cpu_diff(), block);
  }

 private:
  const Dtype* Copy(const caffe::Blob<Dtype>& blob, const Dtype* plain, int block) {
    if (block == 1) return plain;
    if constexpr (std::is_same<Dtype, float>::value) {
      const caffe::ChannelBlocks layout = {block, blob.shape(0), blob.shape(1), blob.count(2)};
      if (CanStay(layout, plain)) return plain;
      copy_.resize(layout.count());
      caffe::PlainToBlocks(layout, plain, copy_.data());
      return copy_.data();
    }
    return plain;
  }

  AlignedVector<Dtype> copy_;
};

template <typename Dtype>
class BlockedOutput {
 public:
  Dtype* Data(caffe::Blob<Dtype>* blob, int block) {
    return Memory(*blob, blob->mutable_cpu_data(), block);
  }
  Dtype* Diff(caffe::Blob<Dtype>* blob, int block) {
    return Memory(*blob, blob->mutable_cpu_diff(), block);
  }
  void Done() {
    if constexpr (std::is_same<Dtype, float>::value) {
      if (!CanStay(layout_, plain_)) caffe::BlocksToPlain(layout_, copy_.data(), plain_);
    }
  }

 private:
  Dtype* Memory(const caffe::Blob<Dtype>& blob, Dtype* plain, int block) {
    layout_ = caffe::ChannelBlocks();
    plain_ = plain;
    if (block == 1) return plain;
    layout_ = {block, blob.shape(0), blob.shape(1), blob.count(2)};
    if (CanStay(layout_, plain)) return plain;
    copy_.resize(layout_.count());
    return copy_.data();
  }

  caffe::ChannelBlocks layout_;
  Dtype* plain_ = nullptr;
  AlignedVector<Dtype> copy_;
};

template <typename Dtype>
class HostLayer : public caffe::Layer<Dtype> {
 public:
  /// Makes the next Forward the one with that number: its noise depends on it.
  void set_next_pass(uint64_t pass) { next_pass_ = pass; }

 protected:
  /// The key comes from Caffe's generator, which the solver's random_seed sets.
  explicit HostLayer(const caffe::LayerParameter& param)
      : caffe::Layer<Dtype>(param),
        noise_key_(
            caffe::PhiloxKey(caffe::caffe_rng_rand(), caffe::HashName(param.name().c_str()))) {}
  /// Once per Forward.
  void BeginPass() { pass_ = next_pass_++; }
  /// Philox key of the layer's random numbers, and the number of the current forward pass.
  uint64_t noise_key() const { return noise_key_; }
  uint64_t noise_pass() const { return pass_; }
  /// Whether the gradient of that parameter is wanted. The host asks for it wherever the prototxt
  /// does not say lr_mult: 0, also where the layer itself has set it.
  bool Learns(int param) {
    return this->param_propagate_down(param) && this->layer_param_.param(param).lr_mult() != 0;
  }

 private:
  const uint64_t noise_key_;
  uint64_t next_pass_ = 0, pass_ = 0;
};

/// Without their GPU halves, the host's GPU mode runs the layers on the CPU.
inline bool ComputesOnGpu() {
#ifdef METAPERTURB_GPU_HALVES
  return caffe::Caffe::mode() == caffe::Caffe::GPU;
#else
  return false;
#endif
}

/// The host knows no caffe::Error, so that the layer's name must be added here.
template <class Layer, class Work>
auto InLayer(const Layer& layer, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const caffe::Error& e) {
    throw caffe::Error("layer '" + layer.layer_param().name() + "' (" + layer.layer_param().type() +
                       "): " + e.what());
  }
}

/// The host's own functions end the process with a stack trace.
void ReadProto(const std::string& file, bool text, google::protobuf::Message* message);

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_HOST_FOREIGN_HPP_
