#include "caffe/layer.hpp"

#include <algorithm>

#include "util/philox.hpp"

namespace caffe {

template <typename Dtype>
Layer<Dtype>::Layer(const LayerParameter& param)
    : layer_param_(param),
      phase_(param.phase()),
      random_key_(PhiloxKey(Caffe::random_seed(),
                            HashName(param.name().c_str()) + static_cast<uint64_t>(phase_))) {
  for (const BlobProto& stored : param.blobs()) {
    blobs_.emplace_back(new Blob<Dtype>());
    blobs_.back()->FromProto(stored);
  }
}

template <typename Dtype>
void Layer<Dtype>::SetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  CheckBlobCounts(bottom, top);
  LayerSetUp(bottom, top);
  Reshape(bottom, top);
  SetLossWeights(top);
}

template <typename Dtype>
Dtype Layer<Dtype>::Forward(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  if (absorbed_) return 0;
  Reshape(bottom, top);
  pass_ = next_pass_++;
  if (Caffe::mode() == Caffe::GPU) {
    Forward_gpu(bottom, top);
  } else {
    Forward_cpu(bottom, top);
  }
  Dtype loss = 0;
  for (size_t i = 0; i < top.size(); ++i) {
    if (this->loss(i) == 0) continue;
    // The tops' diffs hold the loss weights: they are where backpropagation starts. Set in every
    // pass, as a top may have grown, and whoever works on it in place writes there.
    const int count = top[i]->count();
    if (Caffe::mode() == Caffe::GPU) {
      caffe_gpu_set(count, this->loss(i), top[i]->overwrite_gpu_diff());
      // One number is often on the host already, and needs no kernel.
      Dtype share = count == 1 ? this->loss(i) * top[i]->cpu_data()[0] : Dtype(0);
      if (count > 1) caffe_gpu_dot(count, top[i]->gpu_data(), top[i]->gpu_diff(), &share);
      loss += share;
    } else {
      caffe_set(count, this->loss(i), top[i]->overwrite_cpu_diff(1));
      loss += caffe_cpu_dot(count, top[i]->cpu_data(), top[i]->cpu_diff());
    }
  }
  return loss;
}

template <typename Dtype>
void Layer<Dtype>::Backward(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom) {
  if (absorbed_) return;
  if (Caffe::mode() == Caffe::GPU) {
    Backward_gpu(top, propagate_down, bottom);
  } else {
    Backward_cpu(top, propagate_down, bottom);
  }
}

template <typename Dtype>
void Layer<Dtype>::ToProto(LayerParameter* param, bool write_diff) {
  *param = layer_param_;
  param->clear_blobs();
  for (const auto& blob : blobs_) blob->ToProto(param->add_blobs(), write_diff);
}

template <typename Dtype>
void Layer<Dtype>::CheckBlobCounts(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const auto check = [this](const char* side, int count, int exact, int least, int most) {
    ENFORCE(exact < 0 || count == exact)
        << type() << " takes exactly " << exact << " " << side << " blob(s), not " << count;
    ENFORCE(least < 0 || count >= least)
        << type() << " takes at least " << least << " " << side << " blob(s), not " << count;
    ENFORCE(most < 0 || count <= most)
        << type() << " takes at most " << most << " " << side << " blob(s), not " << count;
  };
  const int bottoms = static_cast<int>(bottom.size()), tops = static_cast<int>(top.size());
  check("bottom", bottoms, ExactNumBottomBlobs(), MinBottomBlobs(), MaxBottomBlobs());
  check("top", tops, ExactNumTopBlobs(), MinTopBlobs(), MaxTopBlobs());
  ENFORCE(!EqualNumBottomTopBlobs() || bottoms == tops)
      << type() << " takes as many tops as bottoms, not " << tops << " for " << bottoms;
}

template <typename Dtype>
void Layer<Dtype>::RefuseInPlace(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  for (const Blob<Dtype>* blob : top) {
    ENFORCE(std::find(bottom.begin(), bottom.end(), blob) == bottom.end())
        << "cannot work in place: a top is a bottom, too";
  }
}

template <typename Dtype>
void Layer<Dtype>::SetLossWeights(const vector<Blob<Dtype>*>& top) {
  const int weights = layer_param_.loss_weight_size();
  if (weights == 0) return;
  ENFORCE(weights == static_cast<int>(top.size()))
      << "loss_weight is given " << weights << " times for " << top.size() << " top blob(s)";
  for (int i = 0; i < weights; ++i) {
    const Dtype weight = layer_param_.loss_weight(i);
    if (weight == 0) continue;
    ENFORCE(top[i]->count() > 0) << "loss_weight is given for a top without values";
    set_loss(i, weight);
    caffe_set(top[i]->count(), weight, top[i]->mutable_cpu_diff());
  }
}

INSTANTIATE_CLASS(Layer);

}  // namespace caffe
