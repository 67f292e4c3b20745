#ifndef METAPERTURB_TESTS_TESTING_GPU_UTIL_HPP_
#define METAPERTURB_TESTS_TESTING_GPU_UTIL_HPP_

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "caffe/util/device.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {

/// GPU mode while it lives.
class GpuMode {
 public:
  GpuMode() { Caffe::set_mode(Caffe::GPU); }
  ~GpuMode() { Caffe::set_mode(Caffe::CPU); }
};

/// A test on the GPU, or, where the tests run with METAPERTURB_GPU=emulated, on the emulated
/// device.
class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    string why_not;
    if (!Device::IsThere(&why_not)) GTEST_SKIP() << why_not;
  }
};

/// What a layer computed: its tops, the gradients of its bottoms and its parameters, the parameters
/// themselves (some layers keep statistics there), and its loss.
template <typename Dtype>
struct LayerOutcome {
  std::vector<std::vector<double>> values;
  std::vector<std::string> names;
};

template <typename Dtype>
void KeepValues(const std::string& name, const Dtype* values, int count,
                LayerOutcome<Dtype>* outcome) {
  outcome->names.push_back(name);
  outcome->values.emplace_back(values, values + count);
}

/// Several forward and backward passes of a layer on random bottoms of these shapes, in the mode in
/// force.
template <typename Dtype>
LayerOutcome<Dtype> RunLayer(const LayerParameter& param,
                             const std::vector<std::vector<int>>& shapes, int tops, bool in_place,
                             const std::function<void(std::vector<Blob<Dtype>*>)>& fill,
                             const std::vector<bool>& propagate_down) {
  Caffe::set_random_seed(3);
  std::vector<shared_ptr<Blob<Dtype>>> owned;
  std::vector<Blob<Dtype>*> bottoms;
  for (const auto& shape : shapes) {
    owned.emplace_back(new Blob<Dtype>(shape));
    bottoms.push_back(owned.back().get());
  }
  LayerRun<Dtype> run(param, bottoms, tops);
  if (in_place) {
    run.top[0] = bottoms[0];
    run.layer->SetUp(run.bottom, run.top);
  }
  LayerOutcome<Dtype> outcome;
  for (int pass = 0; pass < 2; ++pass) {
    for (size_t i = 0; i < bottoms.size(); ++i) FillGaussian(bottoms[i], 10 * pass + i + 1);
    if (fill) fill(bottoms);
    const Dtype loss = run.Forward();
    KeepValues("loss", &loss, 1, &outcome);
    for (Blob<Dtype>* top : run.top) KeepValues("top", top->cpu_data(), top->count(), &outcome);
    for (size_t i = 0; i < run.top.size() && loss == 0; ++i) {
      Blob<Dtype> gradient(run.top[i]->shape());
      FillGaussian(&gradient, 50 + 10 * pass + i);
      SetDiff(gradient, run.top[i]);
    }
    for (const auto& blob : run.layer->blobs()) {
      caffe_set(blob->count(), Dtype(0.5), blob->mutable_cpu_diff());
    }
    run.Backward(propagate_down);
    for (size_t i = 0; i < bottoms.size(); ++i) {
      if (!propagate_down.empty() && !propagate_down[i]) continue;
      KeepValues("bottom diff", bottoms[i]->cpu_diff(), bottoms[i]->count(), &outcome);
    }
    for (const auto& blob : run.layer->blobs()) {
      KeepValues("param", blob->cpu_data(), blob->count(), &outcome);
      KeepValues("param diff", blob->cpu_diff(), blob->count(), &outcome);
    }
  }
  return outcome;
}

/// Expects the same of a layer in CPU and in GPU mode, in double, two passes.
struct GpuComparison {
  std::string layer;  // prototxt
  std::vector<std::vector<int>> shapes;
  int tops = 1;
  bool in_place = false;
  std::function<void(std::vector<Blob<double>*>)> fill;  // of bottoms that are not to be normal
  std::vector<bool> propagate_down;
  double tolerance = 1e-9;

  void Expect() const {
    const LayerParameter param = LayerFromText(layer);
    const auto cpu = RunLayer<double>(param, shapes, tops, in_place, fill, propagate_down);
    LayerOutcome<double> gpu;
    {
      const GpuMode mode;
      gpu = RunLayer<double>(param, shapes, tops, in_place, fill, propagate_down);
    }
    ASSERT_EQ(cpu.names, gpu.names);
    for (size_t i = 0; i < cpu.values.size(); ++i) {
      ASSERT_EQ(cpu.values[i].size(), gpu.values[i].size());
      EXPECT_LT(RelativeError(gpu.values[i].data(), cpu.values[i].data(),
                              static_cast<int>(cpu.values[i].size())),
                tolerance)
          << cpu.names[i] << " (" << i << ") of " << layer;
    }
  }
};

}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_TESTING_GPU_UTIL_HPP_
