#ifndef METAPERTURB_TESTS_TESTING_GRADIENT_CHECKER_HPP_
#define METAPERTURB_TESTS_TESTING_GRADIENT_CHECKER_HPP_

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "caffe/layer.hpp"
#include "layers/host.hpp"
#include "testing/blob_util.hpp"

namespace caffe {

/// Compares a layer's Backward with central differences of its Forward, for the objective
///     J = sum over tops and elements of r y,  r fixed normal numbers (for losses: 1).
/// Every parameter and every bottom (or `check_bottom` alone) is checked at every element. Elements
/// within kink_range of a kink are passed over.
template <typename Dtype>
class GradientChecker {
 public:
  GradientChecker(Dtype stepsize, Dtype threshold, unsigned int seed = 1701, Dtype kink = 0,
                  Dtype kink_range = -1)
      : step_(stepsize), threshold_(threshold), seed_(seed), kink_(kink), kink_range_(kink_range) {}

  void CheckGradientExhaustive(Layer<Dtype>* layer, const vector<Blob<Dtype>*>& bottom,
                               const vector<Blob<Dtype>*>& top, int check_bottom = -1) {
    layer->SetUp(bottom, top);
    CheckGradient(layer, bottom, top, check_bottom);
  }

  /// For a layer whose top element i depends on bottom element i alone, and has the same shape.
  void CheckGradientEltwise(Layer<Dtype>* layer, const vector<Blob<Dtype>*>& bottom,
                            const vector<Blob<Dtype>*>& top) {
    CheckGradientExhaustive(layer, bottom, top);
    for (const Blob<Dtype>* blob : top) ASSERT_EQ(bottom[0]->shape(), blob->shape());
  }

  /// For a layer that is set up already. check_bottom -2: parameters only.
  void CheckGradient(Layer<Dtype>* layer, const vector<Blob<Dtype>*>& bottom,
                     const vector<Blob<Dtype>*>& top, int check_bottom = -1) {
    Caffe::set_random_seed(seed_);
    vector<bool> propagate(bottom.size());
    for (size_t i = 0; i < bottom.size(); ++i) {
      propagate[i] = check_bottom == -1 || check_bottom == static_cast<int>(i);
    }
    for (size_t i = 0; i < layer->blobs().size(); ++i) {
      Blob<Dtype>* blob = layer->blobs()[i].get();
      std::fill_n(blob->mutable_cpu_diff(), blob->count(), Dtype(0));
    }
    Objective(layer, bottom, top);
    for (size_t i = 0; i < top.size(); ++i) {
      for (int j = 0; j < top[i]->count(); ++j) {
        top[i]->mutable_cpu_diff()[j] = Weight(layer, static_cast<int>(i), j);
      }
    }
    layer->Backward(top, propagate, bottom);
    vector<vector<Dtype>> computed;
    vector<Blob<Dtype>*> checked;
    for (size_t i = 0; i < bottom.size(); ++i) {
      if (propagate[i]) checked.push_back(bottom[i]);
    }
    for (size_t i = 0; i < layer->blobs().size(); ++i) {
      const LayerParameter& param = layer->layer_param();
      const bool learned = static_cast<int>(i) >= param.param_size() ||
                           param.param(static_cast<int>(i)).lr_mult() != 0;
      if (learned) checked.push_back(layer->blobs()[i].get());
    }
    for (Blob<Dtype>* blob : checked) {
      computed.emplace_back(blob->cpu_diff(), blob->cpu_diff() + blob->count());
    }
    ASSERT_FALSE(checked.empty());
    for (size_t b = 0; b < checked.size(); ++b) {
      for (int j = 0; j < checked[b]->count(); ++j) {
        const Dtype value = checked[b]->cpu_data()[j];
        if (std::fabs(value - kink_) < kink_range_) continue;
        checked[b]->mutable_cpu_data()[j] = value + step_;
        const double above = Objective(layer, bottom, top);
        checked[b]->mutable_cpu_data()[j] = value - step_;
        const double below = Objective(layer, bottom, top);
        checked[b]->mutable_cpu_data()[j] = value;
        const double estimate = (above - below) / (2 * step_);
        const double scale =
            std::max({1.0, std::fabs(estimate), std::fabs(double(computed[b][j]))});
        ASSERT_NEAR(computed[b][j], estimate, threshold_ * scale)
            << "blob " << b << " of " << checked.size() << ", element " << j << " = " << value;
      }
    }
  }

 private:
  Dtype Weight(Layer<Dtype>* layer, int top, int element) const {
    if (layer->loss(top) != 0) return layer->loss(top);
    const Philox bits = Philox::At(PhiloxKey(seed_, top), element, 0, 0, 0);
    return Dtype(bits.v[0]) / Dtype(2147483648.0) - 1;
  }

  double Objective(Layer<Dtype>* layer, const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) const {
    // The same pass each time, so that random layers repeat their choices.
#ifdef METAPERTURB_FOREIGN_HOST
    auto* random = dynamic_cast<metaperturb::HostLayer<Dtype>*>(layer);
    if (random) random->set_next_pass(0);
#else
    layer->set_next_pass(0);
#endif
    layer->Forward(bottom, top);
    double sum = 0;
    for (size_t i = 0; i < top.size(); ++i) {
      for (int j = 0; j < top[i]->count(); ++j) {
        sum += double(Weight(layer, static_cast<int>(i), j)) * top[i]->cpu_data()[j];
      }
    }
    return sum;
  }

  Dtype step_, threshold_;
  unsigned int seed_;
  Dtype kink_, kink_range_;
};

}  // namespace caffe

#endif  // METAPERTURB_TESTS_TESTING_GRADIENT_CHECKER_HPP_
