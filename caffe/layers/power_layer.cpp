#include "caffe/layers/power_layer.hpp"

#include <algorithm>
#include <cmath>

#include "caffe/util/channel_loops.hpp"

namespace caffe {

template <typename Dtype>
void PowerLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const PowerParameter& param = this->layer_param_.power_param();
  const Dtype power = param.power(), scale = param.scale(), shift = param.shift();
  ENFORCE(power == 1 || bottom[0] != top[0])
      << "power " << power << " cannot be computed in place: give the top a name of its own";
  if (power == 1 && shift == 0) {
    // Linear: any layout will do.
    const int block = bottom[0]->data_block();
    const size_t count = top[0]->Blocks(block).count();
    const Dtype* x = bottom[0]->cpu_data(block);
    Dtype* y =
        bottom[0] == top[0] ? top[0]->mutable_cpu_data(block) : top[0]->overwrite_cpu_data(block);
    WeightedSum(count, scale, x, Dtype(0), x, y);
    return;
  }
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  for (int i = 0; i < top[0]->count(); ++i) {
    const Dtype base = scale == 0 ? shift : shift + scale * x[i];  // not 0 times infinity
    y[i] = power == 1 ? base : std::pow(base, power);
  }
}

template <typename Dtype>
void PowerLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const PowerParameter& param = this->layer_param_.power_param();
  const Dtype power = param.power(), scale = param.scale(), shift = param.shift();
  if (power == 1) {
    const int block = top[0]->diff_block();
    const size_t count = top[0]->Blocks(block).count();
    const Dtype* dy = top[0]->cpu_diff(block);
    Dtype* dx = bottom[0] == top[0] ? bottom[0]->mutable_cpu_diff(block)
                                    : bottom[0]->overwrite_cpu_diff(block);
    WeightedSum(count, scale, dy, Dtype(0), dy, dx);
    return;
  }
  if (power * scale == 0) {
    // y is constant; the formula would be 0 times infinity where shift + scale x is 0.
    std::fill_n(bottom[0]->overwrite_cpu_diff(1), top[0]->count(), Dtype(0));
    return;
  }
  const Dtype* x = bottom[0]->cpu_data();
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  for (int i = 0; i < top[0]->count(); ++i) {
    dx[i] = dy[i] * power * scale * std::pow(shift + scale * x[i], power - 1);
  }
}

INSTANTIATE_CLASS(PowerLayer);
REGISTER_LAYER_CLASS(Power);

}  // namespace caffe
