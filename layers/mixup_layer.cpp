#include "layers/mixup_layer.hpp"

#include <algorithm>

#include "layers/layer_param.hpp"

namespace caffe {

template <typename Dtype>
void MixupLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&) {
  metaperturb::InLayer(
      *this, [&] { param_ = metaperturb::LayerParam<MixupParameter>(this->layer_param_); });
}

template <typename Dtype>
void MixupLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& top) {
  metaperturb::InLayer(*this, [&] {
    ENFORCE(bottom[0] != top[0]) << "cannot work in place: give the top a name of its own";
    ENFORCE(bottom[0]->num_axes() > 0) << "the bottom has no axis of images";
    metaperturb::CheckPlanShape(*bottom[1], bottom[0]->shape(0));
    top[0]->ReshapeLike(*bottom[0]);
  });
}

template <typename Dtype>
void MixupLayer<Dtype>::ReadPlan(const Blob<Dtype>& plan) {
  const int num = plan.shape(0);
  plan_.resize(num);
  mixed_by_.resize(num);
  for (auto& images : mixed_by_) images.clear();
  for (int n = 0; n < num; ++n) {
    plan_[n] = metaperturb::PlanOf(plan, n);
    ENFORCE(int64_t{param_.position()} < plan_[n].positions)
        << "mixup_param.position is " << param_.position()
        << "; it must be below the number of places that the plan draws from, "
        << plan_[n].positions << " (mixup_plan_param.positions)";
    const bool here = this->phase_ == TRAIN && plan_[n].position == int(param_.position());
    if (!here || plan_[n].partner == n) plan_[n] = {n, 1, 0, 1};
    if (plan_[n].lambda < 1) mixed_by_[plan_[n].partner].push_back(n);
  }
}

template <typename Dtype>
void MixupLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  metaperturb::InLayer(*this, [&] { ReadPlan(*bottom[1]); });
  const int block = metaperturb::DataBlock(*bottom[0]);
  const ChannelBlocks layout = metaperturb::LayoutOf(*bottom[0], block);
  const size_t size = layout.num == 0 ? 0 : layout.count() / layout.num;
  const Dtype* data = x_in_.Data(*bottom[0], block);
  Dtype* mixed = y_out_.Data(top[0], block);
#pragma omp parallel for schedule(static)
  for (int n = 0; n < layout.num; ++n) {
    const Dtype* x = data + n * size;
    const Dtype* other = data + plan_[n].partner * size;
    Dtype* y = mixed + n * size;
    const Dtype own = static_cast<Dtype>(plan_[n].lambda), rest = 1 - own;
    if (own == 1) {
      std::copy(x, x + size, y);
    } else {
      for (size_t i = 0; i < size; ++i) y[i] = own * x[i] + rest * other[i];
    }
  }
  y_out_.Done();
}

template <typename Dtype>
void MixupLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  metaperturb::InLayer(
      *this, [&] { ENFORCE(!propagate_down[1]) << "the plan (bottom 1) gets no gradient"; });
  if (!propagate_down[0]) return;
  const int block = metaperturb::DiffBlock(*top[0]);
  const ChannelBlocks layout = metaperturb::LayoutOf(*top[0], block);
  const size_t size = layout.num == 0 ? 0 : layout.count() / layout.num;
  const Dtype* gradient = dy_in_.Diff(*top[0], block);
  Dtype* result = dx_out_.Diff(bottom[0], block);
#pragma omp parallel for schedule(static)
  for (int n = 0; n < layout.num; ++n) {
    const Dtype* dy = gradient + n * size;
    Dtype* dx = result + n * size;
    const Dtype own = static_cast<Dtype>(plan_[n].lambda);
    for (size_t i = 0; i < size; ++i) dx[i] = own * dy[i];
    for (const int m : mixed_by_[n]) {
      const Dtype* other = gradient + m * size;
      const Dtype rest = 1 - static_cast<Dtype>(plan_[m].lambda);
      for (size_t i = 0; i < size; ++i) dx[i] += rest * other[i];
    }
  }
  dx_out_.Done();
}

INSTANTIATE_CLASS(MixupLayer);
REGISTER_LAYER_CLASS(Mixup);

}  // namespace caffe
