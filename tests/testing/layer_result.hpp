#ifndef METAPERTURB_TESTS_TESTING_LAYER_RESULT_HPP_
#define METAPERTURB_TESTS_TESTING_LAYER_RESULT_HPP_

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {

/// What one forward and one backward pass of a layer give, tops and bottoms and parameters in
/// order.
struct LayerResult {
  std::vector<std::vector<double>> y, dx, dparam;
};

/// How RunLayer runs a layer.
struct RunOptions {
  int block = 1;            // layout in which bottoms and top diffs are handed over (float)
  bool in_place = false;    // bottom 0 is top 0
  bool keeps_block = true;  // expect tops and bottom diffs in that layout too
  int tops = 1;
};

/// Channel lanes beyond the last channel must be zero.
inline void ExpectZeroPadding(const ChannelBlocks& layout, const float* values) {
  const size_t area = size_t(layout.spatial) * layout.block;
  for (size_t i = 0; i < layout.count(); ++i) {
    const size_t channel = i / area % layout.groups() * layout.block + i % layout.block;
    if (channel < size_t(layout.channels)) continue;
    ASSERT_EQ(0, values[i]) << "lane of channel " << channel;
  }
}

/// Bottoms of these shapes, the learned parameters and the top diffs get fixed normal numbers, the
/// same for float and double; `prepare` may then change the layer and the bottoms.
template <typename Dtype>
LayerResult RunLayer(
    const std::string& text, const std::vector<std::vector<int>>& shapes,
    const RunOptions& options = RunOptions(),
    const std::function<void(Layer<Dtype>*, const std::vector<Blob<Dtype>*>&)>& prepare = {}) {
  std::vector<shared_ptr<Blob<Dtype>>> owned;
  std::vector<Blob<Dtype>*> bottom, top;
  const auto add = [&owned](std::vector<Blob<Dtype>*>* to) {
    owned.emplace_back(new Blob<Dtype>());
    to->push_back(owned.back().get());
    return owned.back().get();
  };
  for (size_t i = 0; i < shapes.size(); ++i) {
    Blob<Dtype>* blob = add(&bottom);
    blob->Reshape(shapes[i]);
    FillGaussian<Dtype>(blob, 10 + i, 0.5, 1);
  }
  for (int i = 0; i < options.tops; ++i) {
    if (i == 0 && options.in_place) {
      top.push_back(bottom[0]);
    } else {
      add(&top);
    }
  }
  const auto layer = LayerRegistry<Dtype>::CreateLayer(LayerFromText(text));
  layer->SetUp(bottom, top);
  for (size_t i = 0; i < layer->blobs().size(); ++i) {
    layer->set_param_propagate_down(static_cast<int>(i), true);
    Blob<Dtype>* blob = layer->blobs()[i].get();
    FillGaussian<Dtype>(blob, 50 + i);
    // Parameters' gradients are added to what is there.
    for (int j = 0; j < blob->count(); ++j) blob->mutable_cpu_diff()[j] = 0.25;
  }
  if (prepare) prepare(layer.get(), bottom);
  if (options.block > 1) {
    for (Blob<Dtype>* blob : bottom) blob->mutable_cpu_data(options.block);
  }
  const auto values = [](const Blob<Dtype>& blob, const Dtype* from) {
    return std::vector<double>(from, from + blob.count());
  };
  LayerResult result;
  layer->Forward(bottom, top);
  for (size_t i = 0; i < top.size(); ++i) {
    if (options.block > 1 && options.keeps_block) {
      EXPECT_EQ(options.block, top[i]->data_block()) << "top " << i;
      ExpectZeroPadding(top[i]->Blocks(options.block),
                        reinterpret_cast<const float*>(top[i]->cpu_data(options.block)));
    }
    result.y.push_back(values(*top[i], top[i]->cpu_data()));
    Blob<Dtype> dy;
    dy.ReshapeLike(*top[i]);
    FillGaussian<Dtype>(&dy, 90 + i);
    SetDiff(dy, top[i]);
    if (options.block > 1) top[i]->mutable_cpu_diff(options.block);
  }
  layer->Backward(top, std::vector<bool>(bottom.size(), true), bottom);
  for (size_t i = 0; i < bottom.size(); ++i) {
    if (options.block > 1 && options.keeps_block && bottom[i]->shape() == shapes[0]) {
      EXPECT_EQ(options.block, bottom[i]->diff_block()) << "bottom " << i;
      ExpectZeroPadding(bottom[i]->Blocks(options.block),
                        reinterpret_cast<const float*>(bottom[i]->cpu_diff(options.block)));
    }
    result.dx.push_back(values(*bottom[i], bottom[i]->cpu_diff()));
  }
  for (const auto& blob : layer->blobs()) {
    result.dparam.push_back(values(*blob, blob->cpu_diff()));
  }
  return result;
}

inline void ExpectNear(const LayerResult& expected, const LayerResult& actual, double tolerance) {
  const auto compare = [tolerance](const char* what, const std::vector<std::vector<double>>& a,
                                   const std::vector<std::vector<double>>& b) {
    ASSERT_EQ(a.size(), b.size()) << what;
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].size(), b[i].size()) << what << " " << i;
      EXPECT_LE(RelativeError(b[i].data(), a[i].data(), static_cast<int>(a[i].size())), tolerance)
          << what << " " << i;
    }
  };
  compare("top", expected.y, actual.y);
  compare("bottom diff", expected.dx, actual.dx);
  compare("parameter diff", expected.dparam, actual.dparam);
}

/// float in the plain layout and in blocks of 8 and 16, against double; in place too where asked
/// for.
template <class Prepare = std::nullptr_t>
void ExpectAllLayoutsAgree(const std::string& text, const std::vector<std::vector<int>>& shapes,
                           bool also_in_place, RunOptions options = RunOptions(),
                           double tolerance = 1e-5, Prepare prepare = nullptr) {
  const LayerResult expected = RunLayer<double>(
      text, shapes,
      [&] {
        RunOptions plain = options;
        plain.block = 1;
        return plain;
      }(),
      prepare);
  for (int block : {1, 8, 16}) {
    for (int in_place = 0; in_place <= (also_in_place ? 1 : 0); ++in_place) {
      SCOPED_TRACE("block " + std::to_string(block) + (in_place ? ", in place" : ""));
      options.block = block;
      options.in_place = in_place != 0;
      ExpectNear(expected, RunLayer<float>(text, shapes, options, prepare), tolerance);
    }
  }
  if (also_in_place) {
    SCOPED_TRACE("double, in place");
    options.block = 1;
    options.in_place = true;
    ExpectNear(expected, RunLayer<double>(text, shapes, options, prepare), 1e-12);
  }
}

}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_TESTING_LAYER_RESULT_HPP_
