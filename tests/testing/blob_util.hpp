#ifndef METAPERTURB_TESTS_TESTING_BLOB_UTIL_HPP_
#define METAPERTURB_TESTS_TESTING_BLOB_UTIL_HPP_

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "util/error.hpp"
#include "util/philox.hpp"

namespace caffe {
namespace testing {

/// Normal numbers of a fixed stream.
template <typename Dtype>
void FillGaussian(Blob<Dtype>* blob, uint64_t seed, Dtype mean = 0, Dtype std = 1) {
  Dtype* data = blob->mutable_cpu_data();
  for (int i = 0; i < blob->count(); ++i) {
    const Philox bits = Philox::At(PhiloxKey(seed, 7), i, 0, 0, 0);
    float a, b;
    PhiloxNormalPair(bits.v[0], bits.v[1], &a, &b);
    data[i] = mean + std * Dtype(a);
  }
}

template <typename Dtype>
void FillValues(Blob<Dtype>* blob, const std::vector<Dtype>& values) {
  ASSERT_EQ(static_cast<size_t>(blob->count()), values.size());
  std::copy(values.begin(), values.end(), blob->mutable_cpu_data());
}

/// Copies the data of `values` into the diff of `blob`.
template <typename Dtype>
void SetDiff(const Blob<Dtype>& values, Blob<Dtype>* blob) {
  ASSERT_EQ(values.count(), blob->count());
  std::copy(values.cpu_data(), values.cpu_data() + values.count(), blob->mutable_cpu_diff());
}

/// Largest |a - b| over the largest |b|; infinite where a is not a number.
template <typename A, typename B>
double RelativeError(const A* a, const B* b, int count) {
  double worst = 0, largest = 1e-30;
  for (int i = 0; i < count; ++i) {
    const double difference = std::fabs(double(a[i]) - double(b[i]));
    worst = std::isnan(difference) ? HUGE_VAL : std::max(worst, difference);
    largest = std::max(largest, std::fabs(double(b[i])));
  }
  return worst / largest;
}

/// The message of the caffe::Error that `work` throws; empty when it throws none.
template <class Work>
std::string ErrorOf(const Work& work) {
  try {
    work();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

/// EXPECT_ERROR(statement, "part of the message")
#define EXPECT_ERROR(statement, part)                                                          \
  do {                                                                                         \
    const std::string message = ::caffe::testing::ErrorOf([&] { statement; });                 \
    EXPECT_NE(message.find(part), std::string::npos) << "the message is: '" << message << "'"; \
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;                               \
  } while (false)

/// Prototxt as this host reads it: parameters that its LayerParameter has no field for go into
/// python_param.param_str.
inline std::string ForHost(std::string text) {
  for (const char* name :
       {"metaperturb_param", "dropblock_param", "information_dropout_param", "mixup_plan_param",
        "mixup_param", "soft_target_loss_param", "cutout_param", "stochastic_depth_param"}) {
    if (LayerParameter::descriptor()->FindFieldByName(name)) continue;
    const std::string field = std::string(name) + " {";
    for (size_t begin; (begin = text.find(field)) != std::string::npos;) {
      const size_t end = text.find('}', begin);
      std::string inside = text.substr(begin + field.size(), end - begin - field.size());
      std::replace(inside.begin(), inside.end(), '\n', ' ');
      std::replace(inside.begin(), inside.end(), '"', '\'');
      text.replace(begin, end - begin, "python_param { param_str: \"" + inside + "\" ");
    }
  }
  return text;
}

inline LayerParameter LayerFromText(const std::string& text) {
  LayerParameter param;
  CHECK(google::protobuf::TextFormat::ParseFromString(ForHost(text), &param)) << text;
  return param;
}

inline NetParameter NetFromText(const std::string& text) {
  NetParameter param;
  CHECK(google::protobuf::TextFormat::ParseFromString(ForHost(text), &param)) << text;
  return param;
}

/// A layer, its bottoms and its one top, set up.
template <typename Dtype>
struct LayerRun {
  LayerRun(const LayerParameter& param, const std::vector<Blob<Dtype>*>& bottoms, int tops = 1)
      : bottom(bottoms) {
    for (int i = 0; i < tops; ++i) {
      owned.emplace_back(new Blob<Dtype>());
      top.push_back(owned.back().get());
    }
    layer = LayerRegistry<Dtype>::CreateLayer(param);
    layer->SetUp(bottom, top);
    for (size_t i = 0; i < layer->blobs().size(); ++i) {
      layer->set_param_propagate_down(static_cast<int>(i), true);
    }
  }
  Dtype Forward() { return layer->Forward(bottom, top); }
  void Backward(std::vector<bool> propagate = {}) {
    if (propagate.empty()) propagate.assign(bottom.size(), true);
    layer->Backward(top, propagate, bottom);
  }
  std::vector<Blob<Dtype>*> bottom, top;
  std::vector<shared_ptr<Blob<Dtype>>> owned;
  shared_ptr<Layer<Dtype>> layer;
};

}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_TESTING_BLOB_UTIL_HPP_
