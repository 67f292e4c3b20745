// Training on several GPUs: the emulated device has two.
#include <google/protobuf/text_format.h>

#include <atomic>

#include "caffe/parallel.hpp"
#include "caffe/sgd_solvers.hpp"
#include "testing/data_util.hpp"
#include "testing/gpu_util.hpp"

namespace caffe {
namespace {

using testing::RelativeError;

TEST(Meeting, LetsNobodyGoBeforeAllHaveCome) {
  const int count = 4, rounds = 200;
  Meeting meeting(count);
  std::atomic<int> arrived{0};
  vector<int> too_early(count, 0);
  vector<std::thread> threads;
  for (int t = 0; t < count; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 1; round <= rounds; ++round) {
        ++arrived;
        meeting.Wait();
        too_early[t] += arrived < round * count;
        meeting.Wait();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(too_early, vector<int>(count, 0));
  EXPECT_EQ(arrived, count * rounds);
}

TEST(Meeting, EndsForThoseWhoWaitAndThoseWhoCome) {
  Meeting meeting(3);
  std::atomic<int> ended{0};
  const auto wait = [&] {
    try {
      meeting.Wait();
    } catch (const Meeting::Ended&) {
      ++ended;
    }
  };
  std::thread a(wait), b(wait);
  meeting.End();
  wait();
  a.join();
  b.join();
  EXPECT_EQ(ended, 3);
}

const char kNet[] = R"(
layer { name: "data" type: "Data" top: "x" top: "label" transform_param { scale: 0.02 }
  data_param { source: "DB" batch_size: BATCH backend: LMDB } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
MORE
layer { name: "fc" type: "InnerProduct" bottom: "LAST" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
)";

class DataParallelGpu : public testing::TempDirTest {
 protected:
  void SetUp() override {
    string why_not;
    if (!Device::IsThere(&why_not)) GTEST_SKIP() << why_not;
    if (Device::Get().Count() > 1) second_ = 1;
    vector<Datum> datums;
    for (int i = 0; i < 23; ++i) datums.push_back(testing::ByteDatum(2, 6, 6, i % 3, 11 * i));
    testing::WriteDatums(Path("db"), datums);
  }
  void TearDown() override {
    Caffe::set_solver_count(1);
    Caffe::set_mode(Caffe::CPU);
    if (Device::IsThere()) Caffe::SetDevice(0);
    TempDirTest::TearDown();
  }

  SolverParameter Param(int batch, const string& solver, const string& layers = "") const {
    string net = kNet;
    const auto replace = [&net](const string& name, const string& value) {
      net.replace(net.find(name), name.size(), value);
    };
    replace("DB", Path("db"));
    replace("BATCH", std::to_string(batch));
    replace("MORE", layers);
    replace("LAST", layers.empty() ? "conv" : "mp");
    SolverParameter param;
    param.set_base_lr(0.05f);
    param.set_lr_policy("fixed");
    param.set_momentum(0.9f);
    param.set_random_seed(5);
    param.set_max_iter(7);
    param.set_snapshot_after_train(false);
    CHECK(google::protobuf::TextFormat::MergeFromString(solver, &param));
    CHECK(google::protobuf::TextFormat::ParseFromString(net, param.mutable_net_param()));
    param.set_snapshot_prefix(Path("run"));
    return param;
  }

  // The parameters after training on these GPUs; with `restore` from that snapshot on.
  vector<vector<double>> Train(const SolverParameter& param, const vector<int>& gpus,
                               const string& restore = "",
                               const ActionCallback& action = ActionCallback()) {
    Caffe::SetDevice(gpus[0]);
    Caffe::set_mode(Caffe::GPU);
    Caffe::set_solver_count(static_cast<int>(gpus.size()));
    shared_ptr<Solver<double>> solver(SolverRegistry<double>::CreateSolver(param));
    solver->SetActionFunction(action);
    if (!restore.empty()) solver->Restore(restore.c_str());
    if (gpus.size() > 1) {
      DataParallel<double>(solver, gpus, restore).Solve();
    } else {
      solver->Solve();
    }
    iterations_ = solver->iter();
    vector<vector<double>> values;
    for (const Blob<double>* blob : solver->net()->learnable_params()) {
      values.emplace_back(blob->cpu_data(), blob->cpu_data() + blob->count());
    }
    return values;
  }

  static void ExpectNear(const vector<vector<double>>& a, const vector<vector<double>>& b,
                         double tolerance) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].size(), b[i].size());
      EXPECT_LT(RelativeError(a[i].data(), b[i].data(), static_cast<int>(a[i].size())), tolerance)
          << "parameter " << i;
    }
  }

  int iterations_ = 0;
  int second_ = 0;  // where there is one GPU, it takes both parts
};

// Two GPUs with three images each see what one with six sees.
TEST_F(DataParallelGpu, EqualsOneGpuWithTheWholeBatch) {
  for (const string solver :
       {"", "type: 'Adam' momentum2: 0.99", "iter_size: 2 weight_decay: 0.1", "clip_gradients: 0.3",
        "type: 'Nesterov' lr_policy: 'step' gamma: 0.5 stepsize: 2"}) {
    SCOPED_TRACE(solver);
    const auto one = Train(Param(6, solver), {0});
    ExpectNear(Train(Param(3, solver), {0, second_}), one, 1e-9);
    ExpectNear(Train(Param(3, solver), {second_, 0}), one, 1e-9);
    ExpectNear(Train(Param(3, solver), {0, 0}), one, 1e-9);
    EXPECT_EQ(7, iterations_);
  }
}

// With force_backward a layer that does not learn has a gradient, which the clipped norm counts.
TEST_F(DataParallelGpu, ClipsByTheGradientOfFrozenLayersToo) {
  const auto frozen = [this](int batch, const string& solver) {
    SolverParameter param = Param(batch, solver);
    param.mutable_net_param()->set_force_backward(true);
    for (int i = 0; i < 2; ++i) {
      param.mutable_net_param()->mutable_layer(1)->add_param()->set_lr_mult(0);
    }
    return param;
  };
  const string clip = "clip_gradients: 0.3";
  const auto one = Train(frozen(6, clip), {0});
  ExpectNear(Train(frozen(3, clip), {0, second_}), one, 1e-9);
  const auto unclipped = Train(frozen(6, ""), {0});
  EXPECT_EQ(one[0], unclipped[0]);
  EXPECT_GT(RelativeError(one[2].data(), unclipped[2].data(), static_cast<int>(one[2].size())),
            1e-3);
}

const char kNoise[] = R"(
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "mp" type: "MetaPerturb" bottom: "conv" top: "mp" }
layer { name: "drop" type: "Dropout" bottom: "mp" top: "mp" })";

TEST_F(DataParallelGpu, RepeatsAndResumesBitForBit) {
  for (const string seed : {"random_seed: 5", "random_seed: -1"}) {
    SolverParameter param = Param(3, "snapshot: 4", kNoise);
    CHECK(google::protobuf::TextFormat::MergeFromString(seed, &param));
    const auto whole = Train(param, {0, second_});
    if (param.random_seed() >= 0) {
      EXPECT_EQ(whole, Train(param, {0, second_}));
    }
    const string state = Path("run_iter_4.solverstate");
    Caffe::set_random_seed(77);  // that of another process
    AdoptSnapshotSeed(state, &param);
    EXPECT_EQ(whole, Train(param, {0, second_}, state));
  }
}

// All images are the same: what differs is that the second GPU has noise of its own.
TEST_F(DataParallelGpu, DiffersFromOneGpuWithTheSameImages) {
  std::filesystem::remove_all(Path("db"));
  testing::WriteDatums(Path("db"), vector<Datum>(23, testing::ByteDatum(2, 6, 6, 1, 40)));
  ExpectNear(Train(Param(3, ""), {0}), Train(Param(3, ""), {0, second_}), 1e-9);
  const auto one = Train(Param(3, "", kNoise), {0}),
             two = Train(Param(3, "", kNoise), {0, second_});
  EXPECT_GT(RelativeError(one[0].data(), two[0].data(), static_cast<int>(one[0].size())), 1e-3);
}

// The next record is damaged: the second GPU may have begun to read it, but the run is over.
TEST_F(DataParallelGpu, AStoppedRunDoesNotFailForWhatComesAfterIt) {
  vector<Datum> datums;
  for (int i = 0; i < 40; ++i) datums.push_back(testing::ByteDatum(2, 6, 6, i % 3, 11 * i));
  datums[6 * 3 + 1] = testing::ByteDatum(2, 5, 6, 0);
  std::filesystem::remove_all(Path("db"));
  testing::WriteDatums(Path("db"), datums);
  int asked = 0;
  Train(Param(3, ""), {0, second_}, "",
        [&asked] { return ++asked == 3 ? SolverAction::STOP : SolverAction::NONE; });
  EXPECT_EQ(3, iterations_);
}

TEST_F(DataParallelGpu, AnActionOfTheRootStopsAll) {
  int asked = 0;
  Train(Param(3, ""), {0, second_}, "",
        [&asked] { return ++asked == 3 ? SolverAction::STOP : SolverAction::NONE; });
  EXPECT_EQ(3, iterations_);
}

TEST_F(DataParallelGpu, AFailingGpuIsNamed) {
  vector<Datum> datums;
  for (int i = 0; i < 20; ++i) datums.push_back(testing::ByteDatum(2, 6, 6, i % 3));
  datums[13] = testing::ByteDatum(2, 5, 6, 0);  // an odd place: the second GPU's
  std::filesystem::remove_all(Path("db"));
  testing::WriteDatums(Path("db"), datums);
  EXPECT_ERROR(Train(Param(3, ""), {second_, 0}), "GPU 0: ");
  EXPECT_ERROR(Train(Param(3, ""), {second_, 0}), "record '");
  datums[13] = datums[0];
  datums[14] = testing::ByteDatum(2, 5, 6, 0);
  std::filesystem::remove_all(Path("db"));
  testing::WriteDatums(Path("db"), datums);
  EXPECT_ERROR(Train(Param(3, ""), {second_, 0}), "record '");
}

}  // namespace
}  // namespace caffe
