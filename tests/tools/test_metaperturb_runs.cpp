// `metaperturb train --runs --select_on`.
#include <gtest/gtest.h>

#include "testing/data_util.hpp"

namespace caffe {
namespace {

const char kData[] = R"(
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 }
  data_param { source: "SOURCE" batch_size: 6 backend: LMDB } }
)";
const char kLayers[] = R"(
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "mp" type: "MetaPerturb" bottom: "conv" top: "mp" PARAM }
layer { name: "fc" type: "InnerProduct" bottom: "mp" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
)";
const char kAccuracy[] =
    "layer { name: 'accuracy' type: 'Accuracy' bottom: 'fc' bottom: 'label' top: 'accuracy' }";
const char kRate[] = "base_lr: 0.02 lr_policy: 'fixed' ";

class MetaPerturbRuns : public testing::TempDirTest {
 protected:
  void SetUp() override {
    const char* names[] = {"a", "b", "target"};
    for (int d = 0; d < 3; ++d) {
      vector<Datum> datums;
      for (int i = 0; i < 24; ++i) datums.push_back(testing::ByteDatum(2, 8, 8, i % 3, 7 * i + d));
      testing::WriteDatums(Path(names[d]), datums);
    }
    Write("source.prototxt", Data("a") + Layers("param { name: 'phi' }"));
    Write("target.prototxt", Data("target") + Layers("metaperturb_param { anneal_iter: 2 }"));
    Write("run.prototxt",
          string("net: 'source.prototxt' random_seed: 3 max_iter: 4 snapshot: 2 csv: 'run.csv' "
                 "task { train_source: 'a' val_source: 'b' } theta { ") +
              kRate + "} phi { base_lr: 5 lr_policy: 'fixed' }");
    Write("solver.prototxt", string("net: 'target.prototxt' max_iter: 10 test_iter: 4 "
                                    "test_interval: 10 test_initialization: false ") +
                                 kRate);
  }

  static string Data(const string& source) {
    string text = kData;
    return text.replace(text.find("SOURCE"), 6, source);
  }
  static string Layers(const string& param) {
    string text = kLayers;
    return text.replace(text.find("PARAM"), 5, param);
  }
  int Train(const string& arguments) {
    return Run("metaperturb", "train --solver=run.prototxt " + arguments);
  }

  // Score of each run, from the table.
  vector<double> Scores(const string& name) {
    std::istringstream table(Read("run_selection.csv"));
    string line;
    std::getline(table, line);
    EXPECT_EQ(line, "run,seed," + name + ",phi");
    vector<double> scores;
    while (std::getline(table, line)) {
      int run = 0, seed = 0;
      double score = 0;
      char phi[100] = "";
      EXPECT_EQ(sscanf(line.c_str(), "%d,%d,%lf,%99s", &run, &seed, &score, phi), 4) << line;
      EXPECT_EQ(run, static_cast<int>(scores.size()));
      EXPECT_EQ(seed, 3 + run);
      EXPECT_EQ(phi, "run_run" + std::to_string(run) + "_phi_iter_4.caffemodel");
      scores.push_back(score);
    }
    return scores;
  }
};

// Before the meta-training, not after it.
TEST_F(MetaPerturbRuns, ATargetThatCannotBeTrainedIsFoundAtTheStart) {
  Write("target.prototxt", Data("missing") + Layers(""));
  EXPECT_EQ(Train("--runs=2 --select_on=solver.prototxt"), 1) << output_;
  EXPECT_NE(output_.find("ERROR: solver.prototxt: target.prototxt: layer 'data' (Data): missing"),
            string::npos)
      << output_;
  EXPECT_EQ(output_.find("Run 0"), string::npos) << output_;
  EXPECT_FALSE(Exists("run_run0_iter_4.metastate"));
}

// The training's last step spoils the weights.
TEST_F(MetaPerturbRuns, AScoreThatIsNotFiniteIsAnError) {
  Write("solver.prototxt",
        "net: 'target.prototxt' max_iter: 1 test_iter: 4 test_interval: 10 "
        "test_initialization: false base_lr: 1e37 lr_policy: 'fixed'");
  EXPECT_EQ(Train("--runs=2 --select_on=solver.prototxt"), 1) << output_;
  EXPECT_NE(output_.find("ERROR: solver.prototxt: "), string::npos) << output_;
  EXPECT_NE(output_.find("not finite"), string::npos) << output_;
  EXPECT_FALSE(Exists("run_selection.csv"));
}

TEST_F(MetaPerturbRuns, TheRunWithTheLeastLossIsChosen) {
  ASSERT_EQ(Train("--runs=3 --select_on=solver.prototxt"), 0) << output_;
  const vector<double> scores = Scores("loss");
  ASSERT_EQ(scores.size(), 3u);
  EXPECT_NE(scores[0], scores[1]);
  const auto best = std::min_element(scores.begin(), scores.end()) - scores.begin();
  EXPECT_EQ(Read("run_phi.caffemodel"),
            Read("run_run" + std::to_string(best) + "_phi_iter_4.caffemodel"));
  EXPECT_NE(Read("run_run0_phi_iter_4.caffemodel"), Read("run_run1_phi_iter_4.caffemodel"));
  EXPECT_NE(output_.find("Chosen: run " + std::to_string(best)), string::npos) << output_;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Exists("run_run" + std::to_string(i) + ".csv")) << i;

  // The score is that of the standard tool with this phi: training, and its last test.
  Write("target.prototxt", Data("target") + Layers("metaperturb_param { anneal_iter: 2 phi: "
                                                   "'run_run1_phi_iter_4.caffemodel' }"));
  Write("solver.prototxt", Read("solver.prototxt") + " random_seed: 1 snapshot_prefix: 'target' ");
  ASSERT_EQ(Run("caffe", "train --solver=solver.prototxt"), 0) << output_;
  const string line = "Test net output #0: loss = ";
  const size_t at = output_.rfind(line);
  ASSERT_NE(at, string::npos) << output_;
  EXPECT_NEAR(std::stod(output_.substr(at + line.size())), scores[1], 0.1 * scores[1]);
}

TEST_F(MetaPerturbRuns, AccuracyCountsWhereTheNetHasIt) {
  Write("target.prototxt", Read("target.prototxt") + kAccuracy);
  ASSERT_EQ(Train("--runs=2 --select_on=solver.prototxt"), 0) << output_;
  const vector<double> scores = Scores("accuracy");
  ASSERT_EQ(scores.size(), 2u);
  for (const double score : scores) {
    EXPECT_GE(score, 0);
    EXPECT_LE(score, 1);
  }
  EXPECT_EQ(Read("run_phi.caffemodel"),
            Read(scores[1] > scores[0] ? "run_run1_phi_iter_4.caffemodel"
                                       : "run_run0_phi_iter_4.caffemodel"));
}

TEST_F(MetaPerturbRuns, GoesOnWhereItWasStopped) {
  ASSERT_EQ(Train("--runs=3 --select_on=solver.prototxt"), 0) << output_;
  const string table = Read("run_selection.csv"), phi = Read("run_phi.caffemodel");
  const string last = Read("run_run2_phi_iter_4.caffemodel");
  for (const char* name : {"run_run2_iter_4.metastate", "run_run2_phi_iter_4.caffemodel",
                           "run_run2.score", "run_selection.csv", "run_phi.caffemodel"}) {
    ASSERT_TRUE(std::filesystem::remove(Path(name))) << name;
  }
  ASSERT_EQ(Train("--runs=3 --select_on=solver.prototxt --snapshot=latest"), 0) << output_;
  EXPECT_EQ(Read("run_selection.csv"), table);
  EXPECT_EQ(Read("run_phi.caffemodel"), phi);
  EXPECT_EQ(Read("run_run2_phi_iter_4.caffemodel"), last);
  EXPECT_EQ(output_.find("Run 1: training the target"), string::npos) << output_;
  EXPECT_NE(output_.find("Run 2: training the target"), string::npos) << output_;
}

// A score is of a phi and a target: when one has changed, it is measured again.
TEST_F(MetaPerturbRuns, KeptScoresOfOthersDoNotCount) {
  ASSERT_EQ(Train("--runs=2 --select_on=solver.prototxt"), 0) << output_;
  const string first = Read("run_selection.csv");
  Write("solver.prototxt", Read("solver.prototxt") + " momentum: 0.9");
  ASSERT_EQ(Train("--runs=2 --select_on=solver.prototxt --snapshot=latest"), 0) << output_;
  EXPECT_NE(output_.find("Run 0: training the target"), string::npos) << output_;
  const string second = Read("run_selection.csv");
  EXPECT_NE(second, first);
  string run = Read("run.prototxt");
  Write("run.prototxt", run.replace(run.find("max_iter: 4"), 11, "max_iter: 6"));
  ASSERT_EQ(Train("--runs=2 --select_on=solver.prototxt --snapshot=latest"), 0) << output_;
  EXPECT_NE(output_.find("Run 1: training the target"), string::npos) << output_;
  ASSERT_EQ(Train("--runs=2 --select_on=solver.prototxt --snapshot=latest"), 0) << output_;
  EXPECT_EQ(output_.find("training the target"), string::npos) << output_;
}

TEST_F(MetaPerturbRuns, Mistakes) {
  const auto expect = [&](const string& arguments, const vector<string>& parts) {
    ExpectToolError("metaperturb", "train --solver=run.prototxt " + arguments, parts);
  };
  expect("--runs=0", {"--runs=0"});
  expect("--runs=2 --snapshot=run_run0_iter_4.metastate", {"--snapshot=run_run0", "latest"});
  expect("--select_on=missing", {"missing"});
  Write("target.prototxt", Data("b") + Layers(""));
  expect("--select_on=solver.prototxt",
         {"solver.prototxt: target.prototxt: layer 'data' (Data) reads 'b'", "source task"});
  Write("target.prototxt", Data("./x/../a") + Layers(""));
  expect("--select_on=solver.prototxt", {"layer 'data' (Data) reads './x/../a'"});
  string plain = Data("target") + Layers("");
  plain.replace(plain.find("MetaPerturb"), 11, "ReLU");
  Write("target.prototxt", plain);
  expect("--select_on=solver.prototxt", {"solver.prototxt: target.prototxt: has no MetaPerturb"});
  Write("solver.prototxt", string("net: 'target.prototxt' max_iter: 10 ") + kRate);
  expect("--select_on=solver.prototxt", {"solver.prototxt: test_iter is not given"});
  EXPECT_FALSE(Exists("run_iter_4.metastate"));  // all of it before anything is trained
  string run = Read("run.prototxt");
  Write("run.prototxt", run.replace(run.find("random_seed: 3"), 14, ""));
  expect("--runs=2", {"run.prototxt: random_seed is not given"});
}

}  // namespace
}  // namespace caffe
