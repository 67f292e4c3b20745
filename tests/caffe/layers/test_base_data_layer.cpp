#include "caffe/layers/base_data_layer.hpp"

#include <set>

#include "testing/blob_util.hpp"

namespace caffe {
namespace {

// Pass p gives p, or fails when p is `bad`.
class Counter : public BasePrefetchingDataLayer<float> {
 public:
  explicit Counter(const LayerParameter& param) : BasePrefetchingDataLayer<float>(param) {}
  ~Counter() override { StopInternalThread(); }
  void load_batch(Batch<float>* batch) override {
    ENFORCE(batch->pass != bad) << "pass " << bad;
    batch->data_.Reshape({1});
    batch->data_.mutable_cpu_data()[0] = static_cast<float>(batch->pass);
    buffers.insert(batch);
    newest = batch->pass;
  }
  uint64_t bad = ~uint64_t{0};
  uint64_t newest = 0;
  std::set<Batch<float>*> buffers;
};

struct Fixture {
  explicit Fixture(int prefetch)
      : layer(testing::LayerFromText(
            "name: 'c' data_param { prefetch: " + std::to_string(prefetch) + " }")) {
    layer.SetUp({}, {&top});
  }
  float Next() {
    layer.Forward({}, {&top});
    return top.cpu_data()[0];
  }
  Blob<float> top;
  Counter layer;
};

TEST(BaseDataLayerTest, BatchesComeInOrder) {
  EXPECT_ERROR(Fixture(1000000000), "data_param.prefetch is 1000000000; at most 10000");
  for (const int prefetch : {0, 1, 2, 5}) {
    Fixture f(prefetch);
    for (int pass = 0; pass < 50; ++pass) EXPECT_EQ(f.Next(), pass);
    f.layer.StopInternalThread();
    EXPECT_EQ(f.layer.buffers.size(), static_cast<size_t>(std::max(2, prefetch)));
    EXPECT_LT(f.layer.newest, 50u + 5u);  // not further ahead than it has buffers
    EXPECT_GE(f.layer.wait_seconds(), 0);
    EXPECT_LT(f.layer.wait_seconds(), 600);
  }
}

TEST(BaseDataLayerTest, StartsWithTheFirstPassAskedFor) {
  Fixture f(4);
  EXPECT_FALSE(f.layer.is_started());
  f.layer.set_next_pass(30);
  EXPECT_EQ(f.Next(), 30);
  EXPECT_EQ(f.Next(), 31);
  f.layer.set_next_pass(3);
  EXPECT_EQ(f.Next(), 3);
  EXPECT_EQ(f.Next(), 4);
}

TEST(BaseDataLayerTest, ForwardThrowsWhatTheThreadThrew) {
  Fixture f(4);
  f.layer.bad = 2;
  EXPECT_EQ(f.Next(), 0);
  EXPECT_EQ(f.Next(), 1);
  EXPECT_ERROR(f.Next(), "pass 2");
  f.layer.bad = 100;
  EXPECT_EQ(f.Next(), 3);
}

TEST(BaseDataLayerTest, GoesAwayWhileBatchesAreWaiting) {
  for (int i = 0; i < 50; ++i) {
    Fixture f(2);
    EXPECT_EQ(f.Next(), 0);
  }
}

}  // namespace
}  // namespace caffe
