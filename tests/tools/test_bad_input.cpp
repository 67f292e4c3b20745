// What a user may get wrong, and files that are damaged: one line that names the place, exit
// code 1.
#include <gtest/gtest.h>

#include <opencv2/imgcodecs.hpp>

#include <cmath>

#include "caffe/util/io.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace testing {
namespace {

const char kNet[] = R"(name: "net"
layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "db" batch_size: 4 backend: LMDB } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "mp" type: "MetaPerturb" bottom: "conv" top: "mp" }
layer { name: "fc" type: "InnerProduct" bottom: "mp" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
)";
const char kSolver[] = R"(net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 3
snapshot: 3 snapshot_prefix: "run" random_seed: 3
)";
const char kMeta[] = R"(net: "net.prototxt" random_seed: 3 max_iter: 2 snapshot_prefix: "meta"
task { name: "a" train_source: "db" val_source: "db" }
task { name: "b" num_output: 3 train_source: "other" val_source: "db" }
theta { base_lr: 0.01 lr_policy: "fixed" }
phi { base_lr: 0.01 lr_policy: "fixed" }
)";
const char kTrain[] = "train --solver=solver.prototxt";
const char kMetaTrain[] = "train --solver=meta.prototxt";

string Replaced(string text, const string& from, const string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(string::npos, at) << from;
  return at == string::npos ? text : text.replace(at, from.size(), to);
}

class BadInput : public TempDirTest {
 protected:
  BadInput() {
    for (int i = 0; i < 12; ++i) {
      records_.push_back(ByteDatum(3, 8, 8, i % 3, i).SerializeAsString());
    }
    WriteGood("db");
    WriteGood("other");
    Write("net.prototxt", kNet);
    Write("solver.prototxt", kSolver);
    Write("meta.prototxt", kMeta);
  }
  /// The net with one thing changed, for `caffe train`, or with one phi to learn for
  /// `metaperturb train`.
  void Net(const string& from, const string& to) const {
    Write("net.prototxt", Replaced(kNet, from, to));
  }
  void MetaNet(const string& from = "", const string& to = "") const {
    const string net = Replaced(kNet, R"(top: "mp" })", R"(top: "mp" param { name: "phi" } })");
    Write("net.prototxt", Replaced(net, from, to));
  }
  void Phi(const string& file) const {
    Net(R"(top: "mp" })", "top: 'mp' metaperturb_param { phi: '" + file + "' } }");
  }
  /// The database with another record in the place of "005".
  void Damage(const string& database, const string& record) const {
    vector<string> records = records_;
    records[5] = record;
    std::filesystem::remove_all(Path(database));
    WriteRecords(Path(database), records);
  }
  void WriteGood(const string& database) const { Damage(database, records_[5]); }
  void ExpectError(const string& tool, const string& arguments, const vector<string>& parts) {
    SCOPED_TRACE(tool + " " + arguments + ", " + parts.back());
    ExpectToolError(tool, arguments, parts);
    EXPECT_EQ(output_.find("ERROR:"), output_.rfind("ERROR:")) << output_;
    for (const char* trace : {"***", "Check failed", "terminate called", "Aborted", "    @ "}) {
      EXPECT_EQ(string::npos, output_.find(trace)) << output_;
    }
  }

  vector<string> records_;
};

TEST_F(BadInput, GoodInputWorks) {
  EXPECT_EQ(0, Run("caffe", kTrain)) << output_;
  MetaNet();
  EXPECT_EQ(0, Run("metaperturb", kMetaTrain)) << output_;
}

TEST_F(BadInput, Definitions) {
  Net("kernel_size: 3", "kernel_size: 9");
  ExpectError("caffe", kTrain,
              {"solver.prototxt: net.prototxt: layer 'conv' (Convolution): ", "height 9", "8"});
  Write("net.prototxt", string(kNet) + R"(layer { name: "sum" type: "Eltwise" bottom: "data"
                                           bottom: "conv" top: "sum" })");
  ExpectError("caffe", kTrain, {"net.prototxt: layer 'sum' (Eltwise): ", "4 3 8 8", "4 4 6 6"});
  Net("batch_size: 4", "batch_size: 1");
  ExpectError("caffe", kTrain, {"net.prototxt: layer 'mp' (MetaPerturb): ", "batch holds 1 image"});
  Write("net.prototxt", "name: 'net' layer { name: 'x' type: 'Input' include { phase: TEST } }");
  ExpectError("caffe", kTrain, {"solver.prototxt: net.prototxt: there is no layer in phase TRAIN"});
  Write("open.prototxt", "name: 'x'\nlayer { name: 'y'");
  ExpectError("caffe", "test --model=open.prototxt --weights=x",
              {"open.prototxt:2:18: ", "but the text ends here"});
  ExpectError("metaperturb", "insert --model=open.prototxt --output=x", {"open.prototxt:2:18: "});
  ExpectError("caffe", "time --model=db/data.mdb", {"db/data.mdb:1:1: "});
  Net("kernel_size: 3", "kernel_size: 3 pad: 4294967295");
  ExpectError("caffe", kTrain, {"net.prototxt: layer 'conv' (Convolution): pad is 4294967295"});
}

// What shows in a pass is told with the file, too.
TEST_F(BadInput, Passes) {
  Net("bottom: \"mp\" top: \"fc\"", "bottom: \"step\" top: \"fc\"");
  Write("net.prototxt",
        Replaced(Read("net.prototxt"), "layer { name: \"fc\"",
                 "layer { name: 'step' type: 'Threshold' bottom: 'mp' top: 'step' }\n"
                 "layer { name: \"fc\""));
  ExpectError("caffe", kTrain,
              {"net.prototxt: layer 'step' (Threshold): Threshold has no gradient"});
  ExpectError("caffe", "time --model=net.prototxt --iterations=1",
              {"net.prototxt: layer 'step' (Threshold): "});
  Net("num_output: 3", "num_output: 2");
  ExpectError("caffe", "time --model=net.prototxt --iterations=1",
              {"net.prototxt: layer 'loss' (SoftmaxWithLoss): ", "label 2"});
}

TEST_F(BadInput, DefinitionsForMetaTraining) {
  const string task = "meta.prototxt: task 'a': net.prototxt";
  MetaNet("name: \"net\"", "nam: \"net\"");
  ExpectError("metaperturb", kMetaTrain, {task + ":1:4: ", "\"nam\""});
  MetaNet("\"Convolution\"", "\"Convolutoin\"");
  ExpectError("metaperturb", kMetaTrain,
              {task + ": layer 'conv' (Convolutoin): ", "did you mean 'Convolution'?"});
  MetaNet("bottom: \"conv\"", "bottom: \"covn\"");
  ExpectError("metaperturb", kMetaTrain,
              {task + ": layer 'mp'", "bottom 'covn'", "did you mean 'conv'?"});
  MetaNet("batch_size: 4", "batch_size: 1");
  ExpectError("metaperturb", kMetaTrain, {task + ": layer 'mp'", "batch holds 1 image"});
  Write("net.prototxt", kNet);
  ExpectError("metaperturb", kMetaTrain, {task + ": ", "param { name: \"phi\" }"});
  MetaNet(R"(top: "loss" })", R"(top: "loss" loss_weight: 0 })");
  ExpectError("metaperturb", kMetaTrain, {task + ": the net has no loss in phase TRAIN"});
  MetaNet();
  EXPECT_EQ(0, Run("metaperturb", kMetaTrain)) << output_;
  EXPECT_EQ(string::npos, output_.find("no loss")) << output_;
  Write("meta.prototxt", Replaced(kMeta, "num_output: 3", "num_output: 1"));
  ExpectError("metaperturb", kMetaTrain,
              {"task 'b': net.prototxt: num_output is 1: layer 'loss' (SoftmaxWithLoss)"});
}

TEST_F(BadInput, Databases) {
  Net("\"db\"", "\"none\"");
  ExpectError("caffe", kTrain, {"layer 'data' (Data): none: is no LMDB", "data.mdb"});
  Write("net.prototxt", kNet);
  const string bytes = Read("db/data.mdb");
  Write("db/data.mdb", bytes.substr(0, bytes.size() - 4096));
  const string sizes =
      std::to_string(bytes.size() - 4096) + " bytes of " + std::to_string(bytes.size());
  ExpectError("caffe", kTrain, {"layer 'data' (Data): db: data.mdb is truncated: " + sizes});
  ExpectError("compute_image_mean", "db", {"db: data.mdb is truncated: " + sizes});
  MetaNet();
  ExpectError("metaperturb", kMetaTrain,
              {"meta.prototxt: task 'a': net.prototxt: layer 'data'",
               "db: data.mdb is truncated: " + sizes});
  Write("net.prototxt", kNet);
  Write("db/data.mdb", "");
  ExpectError("caffe", kTrain, {"layer 'data' (Data): db: data.mdb is empty"});
  Write("db/data.mdb", string(8192, 'x'));
  ExpectError("caffe", kTrain, {"layer 'data' (Data): db: LMDB cannot be opened", "not an LMDB"});
}

TEST_F(BadInput, Records) {
  Datum encoded = ByteDatum(3, 8, 8, 1);
  encoded.set_encoded(true);
  Datum few = ByteDatum(3, 8, 8, 1);
  few.mutable_data()->resize(50);
  const vector<pair<string, string>> damages = {
      {records_[5].substr(0, records_[5].size() / 2), "is no Datum"},
      {encoded.SerializeAsString(), "cannot be decoded"},
      {few.SerializeAsString(), "50 bytes for 3x8x8"},
      {ByteDatum(3, 8, 9, 1).SerializeAsString(), "3x8x9"}};
  for (const auto& damage : damages) {
    Damage("db", damage.first);
    Write("net.prototxt", kNet);
    ExpectError("caffe", kTrain, {"layer 'data' (Data): db: record '005'", damage.second});
    WriteGood("db");
    Damage("other", damage.first);
    MetaNet();
    ExpectError("metaperturb", kMetaTrain,
                {"task 'b': net.prototxt with other: layer 'data' (Data): other: record '005'",
                 damage.second});
  }
}

TEST_F(BadInput, Labels) {
  Damage("db", ByteDatum(3, 8, 8, 3).SerializeAsString());
  const string text = "layer 'loss' (SoftmaxWithLoss): label 3 of image 1 of the batch";
  ExpectError("caffe", kTrain, {text, "3 classes"});
  WriteGood("db");
  Damage("other", ByteDatum(3, 8, 8, -1).SerializeAsString());
  MetaNet();
  ExpectError("metaperturb", kMetaTrain,
              {"task 'b': net.prototxt with other: layer 'loss'", "label -1 of image 1"});
}

TEST_F(BadInput, ImageFiles) {
  string list;
  std::filesystem::create_directory(Path("images"));
  for (int i = 0; i < 6; ++i) {
    const string name = std::to_string(i) + ".png";
    cv::imwrite(Path("images/" + name), cv::Mat(8, 8, CV_8UC3, cv::Scalar(i, 90, 200)));
    list += name + " 1\n";
  }
  Write("list", list);
  Net("type: \"Data\"",
      "type: 'ImageData' image_data_param { source: 'list' batch_size: 3 "
      "root_folder: 'images/' }");
  EXPECT_EQ(0, Run("caffe", kTrain)) << output_;
  const string image = Read("images/4.png");
  for (const string& damaged : {image.substr(0, image.size() / 2), string("text"), string()}) {
    Write("images/4.png", damaged);
    ExpectError("caffe", kTrain, {"layer 'data' (ImageData): list:5: image 'images/4.png'"});
    ExpectError("convert_imageset", "images/ list new", {"list:5: image 'images/4.png'"});
    EXPECT_FALSE(Exists("new"));
  }
}

TEST_F(BadInput, PhiFiles) {
  Phi("none.caffemodel");
  ExpectError("caffe", kTrain, {"net.prototxt: layer 'mp' (MetaPerturb): none.caffemodel: "});
  NetParameter net;
  LayerParameter* layer = net.add_layer();
  layer->set_name("phi");
  layer->set_type("MetaPerturb");
  layer->add_blobs()->mutable_shape()->add_dim(81);
  for (int i = 0; i < 81; ++i) layer->mutable_blobs(0)->add_data(0.5f);
  WriteProtoToBinaryFile(net, Path("phi.caffemodel"));
  Phi("phi.caffemodel");
  ExpectError("caffe", kTrain,
              {"layer 'mp' (MetaPerturb): phi.caffemodel: phi has 81 values where 82"});
  Write("phi.caffemodel", Read("phi.caffemodel").substr(0, 100));
  ExpectError("caffe", kTrain, {"layer 'mp' (MetaPerturb): phi.caffemodel: is truncated"});
  layer->set_type("ReLU");
  WriteProtoToBinaryFile(net, Path("phi.caffemodel"));
  ExpectError("caffe", kTrain, {"phi.caffemodel: holds no MetaPerturb layer"});
}

TEST_F(BadInput, TwoLayersOfOneName) {
  Net("layer { name: \"mp\"",
      R"(layer { name: "conv" type: "Convolution" bottom: "conv" top: "conv2"
    convolution_param { num_output: 4 kernel_size: 3 } } layer { name: "mp")");
  ExpectError("caffe", kTrain,
              {"net.prototxt: layer 'conv' (Convolution): an earlier layer with parameters has the "
               "same name"});
}

TEST_F(BadInput, SolverValues) {
  const auto expect = [&](const string& more, const string& message) {
    Write("solver.prototxt", kSolver + more);
    ExpectError("caffe", kTrain, {"solver.prototxt: " + message});
  };
  expect("momentum: 1.5", "momentum is 1.5");
  expect("type: 'Adam' momentum2: 1", "momentum2 is 1");
  expect("delta: -1", "delta is -1");
  expect("weight_decay: -1", "weight_decay is -1");
  expect("clip_gradients: 0", "clip_gradients is 0");
  expect("stepvalue: 20 stepvalue: 10", "stepvalue 10 comes after 20");
  const auto replaced = [&](const string& from, const string& to, const string& message) {
    Write("solver.prototxt", Replaced(kSolver, from, to));
    ExpectError("caffe", kTrain, {"solver.prototxt: " + message});
  };
  expect("clip_gradients: nan", "clip_gradients is not a number");
  expect("weights: ','", "weights is ',', which names no file");
  replaced("base_lr: 0.01", "base_lr: -0.01", "base_lr is -0.01");
  replaced("base_lr: 0.01", "base_lr: inf", "base_lr is inf");
  Write("meta.prototxt", Replaced(kMeta, "base_lr: 0.01", "base_lr: -0.01"));
  MetaNet();
  ExpectError("metaperturb", kMetaTrain, {"meta.prototxt: theta: base_lr is -0.01"});
  Write("meta.prototxt", string(kMeta) + "lookahead_rate: -1");
  ExpectError("metaperturb", kMetaTrain, {"meta.prototxt: lookahead_rate is -1"});
  Write("net.prototxt", kNet);
  replaced("max_iter: 3", "", "max_iter is not given");
  replaced("max_iter: 3", "max_iter: -1", "max_iter is -1");
  replaced("lr_policy: \"fixed\"", "", "lr_policy is not given");
}

TEST_F(BadInput, WeightsAndSnapshots) {
  ASSERT_EQ(0, Run("caffe", kTrain)) << output_;
  Net("num_output: 3", "num_output: 5");
  ExpectError("caffe", "test --model=net.prototxt --weights=run_iter_3.caffemodel",
              {"run_iter_3.caffemodel: layer 'fc' (InnerProduct): parameter 0: stored shape 3x144 "
               "where 5x144 is expected"});
  ExpectError("caffe", "test --model=net.prototxt --weights=net.prototxt", {"net.prototxt: "});
  Write("net.prototxt", kNet);
  Write("empty.caffemodel", "");
  ExpectError("caffe", "test --model=net.prototxt --weights=empty.caffemodel",
              {"empty.caffemodel: holds no layer with parameters"});
  const string resume = string(kTrain) + " --snapshot=";
  ExpectError("caffe", resume + "run_iter_3.caffemodel",
              {"run_iter_3.caffemodel: is not a .solverstate file"});
  ExpectError("caffe", resume + "net.prototxt", {"net.prototxt: is truncated, or no SolverState"});
  MetaNet();
  ASSERT_EQ(0, Run("metaperturb", kMetaTrain)) << output_;
  const string state = Read("meta_iter_2.metastate");
  Write("cut.metastate", state.substr(0, state.size() - 9));
  const string again = string(kMetaTrain) + " --snapshot=";
  ExpectError("metaperturb", again + "cut.metastate", {"cut.metastate: is truncated"});
  ExpectError("metaperturb", again + "run_iter_3.solverstate", {"run_iter_3.solverstate: "});
}

TEST_F(BadInput, LossThatIsNotFinite) {
  ASSERT_EQ(0, Run("caffe", kTrain)) << output_;
  NetParameter weights;
  ReadProtoFromBinaryFileOrDie(Path("run_iter_3.caffemodel"), &weights);
  for (LayerParameter& layer : *weights.mutable_layer()) {
    if (layer.name() == "fc") layer.mutable_blobs(0)->set_data(7, NAN);
  }
  WriteProtoToBinaryFile(weights, Path("nan.caffemodel"));
  ExpectError("caffe", "test --model=net.prototxt --weights=nan.caffemodel --iterations=1",
              {"nan.caffemodel with net.prototxt: batch 0: loss is "});
  std::filesystem::remove(Path("run_iter_3.caffemodel"));
  Write("solver.prototxt", Replaced(kSolver, "base_lr: 0.01", "base_lr: 1e30"));
  ExpectError("caffe", kTrain, {"iteration 1: loss is "});
  EXPECT_FALSE(Exists("run_iter_3.caffemodel"));
  MetaNet();
  Write("meta.prototxt", Replaced(kMeta, "base_lr: 0.01", "base_lr: 1e30"));
  ExpectError("metaperturb", kMetaTrain, {"task 'a': ", " loss is ", "meta-iteration 0"});
  EXPECT_FALSE(Exists("meta_iter_2.metastate"));
}

// The log must fit below the limit, and what is written must not.
TEST_F(BadInput, DiskThatIsFull) {
  const rlim_t limit = 64 << 10;
  Net("num_output: 3", "num_output: 300");  // 170 KB of weights
  ASSERT_EQ(0, Run("caffe", kTrain)) << output_;
  const string weights = Read("run_iter_3.caffemodel"), state = Read("run_iter_3.solverstate");
  ASSERT_GT(weights.size(), limit);
  // Another run with the same names: its snapshot would differ.
  Write("solver.prototxt", Replaced(kSolver, "base_lr: 0.01", "base_lr: 0.02"));
  {
    const FullDisk full(limit);
    ExpectError("caffe", kTrain, {"run_iter_3.caffemodel: cannot be written: File too large"});
  }
  EXPECT_TRUE(weights == Read("run_iter_3.caffemodel"));
  EXPECT_TRUE(state == Read("run_iter_3.solverstate"));
  ASSERT_EQ(0, Run("caffe", kTrain)) << output_;
  EXPECT_FALSE(weights == Read("run_iter_3.caffemodel"));

  MetaNet("num_output: 3", "num_output: 300");
  Write("meta.prototxt", Replaced(kMeta, "num_output: 3", "num_output: 300"));
  ASSERT_EQ(0, Run("metaperturb", kMetaTrain)) << output_;
  const string meta = Read("meta_iter_2.metastate");
  Write("meta.prototxt", Replaced(Read("meta.prototxt"), "0.01", "0.02"));
  {
    const FullDisk full(limit);
    ExpectError("metaperturb", kMetaTrain, {"meta_iter_2.metastate: cannot be written: "});
  }
  EXPECT_TRUE(meta == Read("meta_iter_2.metastate"));
}

TEST_F(BadInput, DiskThatIsFullForAConverter) {
  std::filesystem::create_directory(Path("images"));
  cv::imwrite(Path("images/a.png"), cv::Mat(200, 200, CV_8UC3, cv::Scalar(1, 90, 200)));
  Write("list", "a.png 1\n");
  {
    const FullDisk full(64 << 10);
    ExpectError("convert_imageset", "images/ list new", {"new", "LMDB cannot be written"});
  }
  EXPECT_FALSE(Exists("new") || Exists("new.tmp"));
  ASSERT_EQ(0, Run("convert_imageset", "images/ list new")) << output_;
  // A lock file is mapped, and LMDB would end in SIGBUS where it does not fit on the disk.
  EXPECT_FALSE(Exists("new/lock.mdb"));
}

}  // namespace
}  // namespace testing
}  // namespace caffe
