#include "caffe/layers/dropout_layer.hpp"

#include <algorithm>

#include "util/philox.hpp"

namespace caffe {

template <typename Dtype>
void DropoutLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) {
  const float ratio = this->layer_param_.dropout_param().dropout_ratio();
  ENFORCE(ratio >= 0 && ratio < 1) << "dropout_ratio is " << ratio << "; it must lie in [0, 1)";
}

// Multiplies each element with its factor of this pass; `to` may be `from`.
template <typename Dtype>
void DropoutLayer<Dtype>::Drop(const ChannelBlocks& layout, const Dtype* from, Dtype* to) const {
  if (this->phase_ == TEST) {
    if (from != to) std::copy(from, from + layout.count(), to);
    return;
  }
  const uint32_t threshold = Threshold();
  const Dtype kept = Kept();
  const uint64_t key = this->random_key(), pass = this->pass();
  const int block = layout.block, spatial = layout.spatial;
  // All lanes of a block, so that those beyond the last channel are written, too.
  const int channels = block == 1 ? layout.channels : layout.groups() * block;
  const int quads = (channels + 3) / 4, lane_step = block == 1 ? spatial : 1;
  // Counters do not depend on the block: ceil(C / 4) is at most this.
  const uint64_t row_length = (layout.channels + 3) / 4;
#pragma omp parallel for schedule(static)
  for (int row = 0; row < layout.num * quads; ++row) {
    const int n = row / quads, c = row % quads * 4;
    const int lanes = std::min(4, channels - c);
    const bool padding = c >= layout.channels;
    // Element (n, c, 0) of either layout.
    size_t at = block == 1 ? (size_t(n) * channels + c) * spatial
                           : (size_t(n) * channels + c / block * block) * spatial + c % block;
    uint64_t counter = (n * row_length + c / 4) * spatial;
    for (int s = 0; s < spatial; ++s, ++counter, at += block) {
      if (padding) {
        for (int l = 0; l < lanes; ++l) to[at + l] = 0;
        continue;
      }
      const Philox bits =
          Philox::At(key, static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
                     static_cast<uint32_t>(pass), static_cast<uint32_t>(pass >> 32));
      for (int l = 0; l < lanes; ++l) {
        const size_t i = at + size_t(l) * lane_step;
        to[i] = bits.v[l] < threshold ? Dtype(0) : from[i] * kept;
      }
    }
  }
}

template <typename Dtype>
void DropoutLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const int block = bottom[0]->data_block();
  const Dtype* x = bottom[0]->cpu_data(block);
  Dtype* y =
      bottom[0] == top[0] ? top[0]->mutable_cpu_data(block) : top[0]->overwrite_cpu_data(block);
  Drop(top[0]->Blocks(block), x, y);
}

template <typename Dtype>
void DropoutLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int block = top[0]->diff_block();
  const Dtype* dy = top[0]->cpu_diff(block);
  Dtype* dx = bottom[0] == top[0] ? bottom[0]->mutable_cpu_diff(block)
                                  : bottom[0]->overwrite_cpu_diff(block);
  Drop(top[0]->Blocks(block), dy, dx);
}

INSTANTIATE_CLASS(DropoutLayer);
REGISTER_LAYER_CLASS(Dropout);

}  // namespace caffe
