#ifndef METAPERTURB_TESTS_TESTING_GPU_LAYER_CHECKS_HPP_
#define METAPERTURB_TESTS_TESTING_GPU_LAYER_CHECKS_HPP_

#include <string>
#include <vector>

#include "testing/gpu_util.hpp"

namespace caffe {
namespace testing {

/// Expects that neither pass of the layer copies anything to the host, parameters included.
inline void ExpectStaysOnGpu(const std::string& layer, const std::vector<std::vector<int>>& shapes,
                             int tops = 1, bool in_place = false) {
  SCOPED_TRACE(layer);
  const GpuMode mode;
  std::vector<shared_ptr<Blob<double>>> owned;
  std::vector<Blob<double>*> bottoms;
  for (const auto& shape : shapes) {
    owned.emplace_back(new Blob<double>(shape));
    bottoms.push_back(owned.back().get());
    FillGaussian(bottoms.back(), owned.size());
  }
  LayerRun<double> run(LayerFromText(layer), bottoms, tops);
  if (in_place) {
    run.top[0] = bottoms[0];
    run.layer->SetUp(run.bottom, run.top);
  }
  std::vector<Blob<double>*> all = bottoms;
  all.insert(all.end(), run.top.begin(), run.top.end());
  for (const auto& blob : run.layer->blobs()) all.push_back(blob.get());
  for (Blob<double>* blob : all) {
    blob->mutable_gpu_data();
    blob->mutable_gpu_diff();
  }
  run.Forward();
  run.Backward();
  for (size_t i = 0; i < all.size(); ++i) {
    // A loss of one number is read by the host.
    const bool is_loss = i == bottoms.size() && all[i]->count() == 1 && run.layer->loss(0) != 0;
    if (!is_loss) {
      EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, all[i]->data()->head()) << "data of blob " << i;
    }
    EXPECT_EQ(SyncedMemory::HEAD_AT_GPU, all[i]->diff()->head()) << "diff of blob " << i;
  }
}

/// Expects of a layer in GPU mode nearly the same in float as in double.
inline void ExpectFloatAgrees(const std::string& layer, const std::vector<std::vector<int>>& shapes,
                              double mean = 0, double tolerance = 1e-5) {
  SCOPED_TRACE(layer);
  const GpuMode mode;
  const auto fill = [mean](const auto& blobs) {
    for (size_t i = 0; i < blobs.size(); ++i) {
      // Of float precision in both.
      auto* data = blobs[i]->mutable_cpu_data();
      for (int j = 0; j < blobs[i]->count(); ++j) data[j] = static_cast<float>(data[j] + mean);
    }
  };
  const LayerParameter param = LayerFromText(layer);
  const auto exact = RunLayer<double>(param, shapes, 1, false, fill, {});
  const auto rounded = RunLayer<float>(param, shapes, 1, false, fill, {});
  ASSERT_EQ(exact.names, rounded.names);
  for (size_t i = 0; i < exact.values.size(); ++i) {
    ASSERT_EQ(exact.values[i].size(), rounded.values[i].size());
    EXPECT_LT(RelativeError(rounded.values[i].data(), exact.values[i].data(),
                            static_cast<int>(exact.values[i].size())),
              tolerance)
        << exact.names[i] << " (" << i << ")";
  }
}

/// Expects of a layer in float the same in CPU and in GPU mode: there, the CPU has other code than
/// in double.
inline void ExpectFloatEqualsTheCpu(
    const std::string& layer, const std::vector<std::vector<int>>& shapes, double tolerance,
    const std::function<void(std::vector<Blob<float>*>)>& fill = nullptr,
    const std::vector<bool>& propagate_down = {}) {
  SCOPED_TRACE(layer);
  const LayerParameter param = LayerFromText(layer);
  const auto cpu = RunLayer<float>(param, shapes, 1, false, fill, propagate_down);
  const GpuMode mode;
  const auto gpu = RunLayer<float>(param, shapes, 1, false, fill, propagate_down);
  ASSERT_EQ(cpu.names, gpu.names);
  for (size_t i = 0; i < cpu.values.size(); ++i) {
    ASSERT_EQ(cpu.values[i].size(), gpu.values[i].size());
    EXPECT_LT(RelativeError(gpu.values[i].data(), cpu.values[i].data(),
                            static_cast<int>(cpu.values[i].size())),
              tolerance)
        << cpu.names[i] << " (" << i << ")";
  }
}

}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_TESTING_GPU_LAYER_CHECKS_HPP_
