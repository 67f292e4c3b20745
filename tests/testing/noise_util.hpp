#ifndef METAPERTURB_TESTS_TESTING_NOISE_UTIL_HPP_
#define METAPERTURB_TESTS_TESTING_NOISE_UTIL_HPP_

#include <gtest/gtest.h>
#include <omp.h>

#include <string>
#include <vector>

#include "layers/host.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {

template <typename Dtype>
std::vector<Dtype> DataOf(const Blob<Dtype>& blob) {
  return std::vector<Dtype>(blob.cpu_data(), blob.cpu_data() + blob.count());
}
template <typename Dtype>
std::vector<Dtype> DiffOf(const Blob<Dtype>& blob) {
  return std::vector<Dtype>(blob.cpu_diff(), blob.cpu_diff() + blob.count());
}

template <typename Dtype>
void FillConstant(Blob<Dtype>* blob, Dtype value) {
  std::fill_n(blob->mutable_cpu_data(), blob->count(), value);
}

/// Makes the layer's next Forward the one with that number, in either host.
template <typename Dtype>
void SetNextPass(Layer<Dtype>* layer, uint64_t pass) {
  auto* random = dynamic_cast<metaperturb::HostLayer<Dtype>*>(layer);
  ASSERT_NE(random, nullptr);
  random->set_next_pass(pass);
}

/// Top and gradient of the bottom 0 of a layer in its third pass, top diffs being the bottom's
/// data; with `block` > 1 (our own framework only) data and diff are handed over in channel blocks.
template <typename Dtype>
std::vector<std::vector<Dtype>> ThirdPass(const std::string& text, const Blob<Dtype>& input,
                                          const std::vector<Blob<Dtype>*>& more = {},
                                          bool in_place = false, [[maybe_unused]] int block = 1) {
  Caffe::set_random_seed(9);
  Blob<Dtype> x, y;
  x.CopyFrom(input, false, true);
  std::vector<Blob<Dtype>*> bottom = {&x}, top = {in_place ? &x : &y};
  bottom.insert(bottom.end(), more.begin(), more.end());
  const auto layer = LayerRegistry<Dtype>::CreateLayer(LayerFromText(text));
  layer->SetUp(bottom, top);
  SetNextPass(layer.get(), 2);
#ifndef METAPERTURB_FOREIGN_HOST
  if (block > 1) x.mutable_cpu_data(block);
#endif
  layer->Forward(bottom, top);
  std::vector<std::vector<Dtype>> result = {DataOf(*top[0])};
  SetDiff(input, top[0]);
#ifndef METAPERTURB_FOREIGN_HOST
  if (block > 1) {
    EXPECT_EQ(block, top[0]->data_block());
    top[0]->mutable_cpu_diff(block);
  }
#endif
  std::vector<bool> propagate(bottom.size(), false);
  propagate[0] = true;
  layer->Backward(top, propagate, bottom);
  result.push_back(DiffOf(x));
  return result;
}

/// The same for any number of threads, in place and in any layout.
inline void ExpectSameEverywhere(const std::string& text, const Blob<float>& x,
                                 const std::vector<Blob<float>*>& more, bool also_in_place,
                                 [[maybe_unused]] bool in_blocks) {
  const auto expected = ThirdPass(text, x, more);
  const int threads_before = omp_get_max_threads();
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    EXPECT_EQ(expected, ThirdPass(text, x, more)) << threads << " threads";
  }
  omp_set_num_threads(threads_before);
  if (also_in_place) {
    EXPECT_EQ(expected, ThirdPass(text, x, more, true)) << "in place";
  }
#ifndef METAPERTURB_FOREIGN_HOST
  for (const int block : {8, 16}) {
    if (!in_blocks) break;
    EXPECT_EQ(expected, ThirdPass(text, x, more, false, block)) << "blocks of " << block;
    if (also_in_place) {
      EXPECT_EQ(expected, ThirdPass(text, x, more, true, block)) << "in place, blocks of " << block;
    }
  }
#endif
}

/// The choices depend on seed, layer and pass: another pass gives another top, the same one again
/// the same.
template <typename Dtype>
void ExpectNewChoicesPerPass(const std::string& text, const std::vector<Blob<Dtype>*>& bottom) {
  Caffe::set_random_seed(4);
  LayerRun<Dtype> run(LayerFromText(text), bottom);
  run.Forward();
  const std::vector<Dtype> first = DataOf(*run.top[0]);
  run.Forward();
  EXPECT_NE(first, DataOf(*run.top[0]));
  SetNextPass(run.layer.get(), 0);
  run.Forward();
  EXPECT_EQ(first, DataOf(*run.top[0]));
}

}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_TESTING_NOISE_UTIL_HPP_
