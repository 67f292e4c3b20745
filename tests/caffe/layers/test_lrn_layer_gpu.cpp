#include <gtest/gtest.h>

#include "testing/gpu_layer_checks.hpp"

namespace caffe {
namespace {

class LRNLayerGpu : public testing::GpuTest {};

std::string Lrn(const std::string& settings) {
  return "name: 'l' type: 'LRN' lrn_param { " + settings + " }";
}

const char kWithin[] = "norm_region: WITHIN_CHANNEL ";

TEST_F(LRNLayerGpu, EqualsTheCpu) {
  for (const std::string& region : {std::string(), std::string(kWithin)}) {
    for (const char* settings : {"", "local_size: 3 alpha: 0.5", "local_size: 1 beta: 0.5",
                                 "local_size: 15 beta: 1.25 alpha: 2"}) {
      for (const std::vector<int>& shape :
           std::vector<std::vector<int>>{{3, 4, 5, 7}, {2, 19, 3, 2}, {2, 1, 9, 9}, {2, 6, 1, 1}}) {
        testing::GpuComparison comparison;
        comparison.layer = Lrn(region + settings);
        comparison.shapes = {shape};
        comparison.Expect();
      }
    }
  }
  testing::GpuComparison comparison;
  comparison.layer = Lrn("k: 2");
  comparison.shapes = {{3, 4, 5, 7}};
  comparison.Expect();
}

TEST_F(LRNLayerGpu, InFloat) {
  testing::ExpectFloatAgrees(Lrn(""), {{3, 9, 5, 7}});
  testing::ExpectFloatAgrees(Lrn(kWithin), {{3, 4, 5, 7}});
}

TEST_F(LRNLayerGpu, StaysOnTheDevice) {
  testing::ExpectStaysOnGpu(Lrn(""), {{3, 4, 5, 7}});
  testing::ExpectStaysOnGpu(Lrn(kWithin), {{3, 4, 5, 7}});
}

}  // namespace
}  // namespace caffe
