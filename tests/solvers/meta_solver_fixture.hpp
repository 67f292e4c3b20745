#ifndef METAPERTURB_TESTS_SOLVERS_META_SOLVER_FIXTURE_HPP_
#define METAPERTURB_TESTS_SOLVERS_META_SOLVER_FIXTURE_HPP_

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <random>

#include "caffe/util/db.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "solvers/meta_solver.hpp"
#include "util/error.hpp"

namespace caffe {
namespace meta_testing {

inline constexpr char kData[] = R"(
  name: "tiny"
  layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
    transform_param { scale: 0.00392156862 @TRANSFORM@ }
    data_param { source: "replaced" backend: LMDB batch_size: 4 } }
  layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
    data_param { source: "never read" backend: LMDB batch_size: 4 } }
)";
inline constexpr char kBody[] = R"(
  layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
    convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
  layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "bn1"
    batch_norm_param { moving_average_fraction: 0.9 } }
  layer { name: "scale1" type: "Scale" bottom: "bn1" top: "bn1" scale_param { bias_term: true } }
  layer { name: "mp1" type: "MetaPerturb" bottom: "bn1" top: "mp1" param { name: "phi" }
    metaperturb_param { @NOISE@ } }
  layer { name: "relu1" type: "ReLU" bottom: "mp1" top: "mp1" }
  layer { name: "conv2" type: "Convolution" bottom: "mp1" top: "conv2"
    convolution_param { num_output: 5 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
  layer { name: "mp2" type: "MetaPerturb" bottom: "conv2" top: "mp2" param { name: "phi" }
    metaperturb_param { @NOISE@ } }
  layer { name: "relu2" type: "ReLU" bottom: "mp2" top: "mp2" }
)";
inline constexpr char kOtherBody[] = R"(
  layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
    convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "msra" } } }
  layer { name: "mp" type: "MetaPerturb" bottom: "conv" top: "mp2" param { name: "phi" }
    metaperturb_param { @NOISE@ } }
)";
inline constexpr char kHead[] = R"(
  layer { name: "pool" type: "Pooling" bottom: "mp2" top: "pool"
    pooling_param { pool: AVE global_pooling: true } }
  layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
    inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
  layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
)";

inline string Replaced(string text, const string& what, const string& by) {
  for (size_t at = text.find(what); at != string::npos; at = text.find(what)) {
    text.replace(at, what.size(), by);
  }
  return text;
}

template <typename Dtype>
vector<double> Values(const Blob<Dtype>& blob) {
  return vector<double>(blob.cpu_data(), blob.cpu_data() + blob.count());
}

/// Four small databases and two networks in a temporary directory, and a run on them.
class MetaSolverTest : public ::testing::Test {
 protected:
  MetaSolverTest() {
    MakeTempDir(&dir_);
    WriteNet("net.prototxt", string(kData) + kBody + kHead, "noise: MEAN", "");
    WriteNet("other.prototxt", string(kData) + kOtherBody + kHead, "noise: MEAN", "");
    for (int i = 0; i < 4; ++i) WriteDatabase("db" + std::to_string(i), i < 2 ? 2 : 3, i);
  }
  ~MetaSolverTest() override { std::filesystem::remove_all(dir_); }

  string Path(const string& name) const { return dir_ + "/" + name; }

  void WriteText(const string& name, const string& text) { std::ofstream(Path(name)) << text; }
  void WriteNet(const string& name, string text, string noise, const string& transform) {
#ifndef METAPERTURB_HAS_FIELD
    noise = Replaced(noise, "'", "\"");
    text = Replaced(text, "metaperturb_param { @NOISE@ }", "python_param { param_str: '@NOISE@' }");
#endif
    WriteText(name, Replaced(Replaced(text, "@NOISE@", noise), "@TRANSFORM@", transform));
  }

  // 12 images of `channels` x 7 x 6, brighter at another place for every class.
  void WriteDatabase(const string& name, int classes, int seed, int channels = 2) {
    std::mt19937 random(seed);
    std::unique_ptr<db::DB> database(db::GetDB("lmdb"));
    database->Open(Path(name), db::NEW);
    std::unique_ptr<db::Transaction> transaction(database->NewTransaction());
    for (int i = 0; i < 12; ++i) {
      Datum datum;
      datum.set_channels(channels);
      datum.set_height(7);
      datum.set_width(6);
      datum.set_label(i % classes);
      string pixels;
      for (int p = 0; p < channels * 7 * 6; ++p) {
        const int bright = p % 6 / 2 == i % classes ? 120 : 0;
        pixels.push_back(static_cast<char>(random() % 100 + bright));
      }
      datum.set_data(pixels);
      char key[16];
      snprintf(key, sizeof(key), "%04d", i);
      transaction->Put(key, datum.SerializeAsString());
    }
    transaction->Commit();
  }

  // Two tasks: "a" with 2 classes, "b" with 3 classes and a network of its own.
  MetaSolverParameter Definition(const string& theta = "base_lr: 0.125 lr_policy: 'fixed'",
                                 const string& phi = "base_lr: 0.5 lr_policy: 'fixed'") {
    const string text = Replaced(
        "net: 'DIR/net.prototxt' max_iter: 6 random_seed: 5 snapshot_prefix: 'DIR/run' "
        "task { name: 'a' train_source: 'DIR/db0' val_source: 'DIR/db1' } "
        "task { name: 'b' train_source: 'DIR/db2' val_source: 'DIR/db3' num_output: 3 "
        "       net: 'DIR/other.prototxt' batch_size: 6 weight: 2 } "
        "theta { " +
            theta + " } phi { " + phi + " }",
        "DIR", dir_);
    MetaSolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &param));
    return param;
  }

  // The net of a task, made by hand from its file.
  std::unique_ptr<Net<double>> Reference(const MetaSolverParameter& run, int t, bool validation) {
    const MetaTaskParameter& task = run.task(t);
    NetParameter param;
    ReadNetParamsFromTextFileOrDie(task.has_net() ? task.net() : run.net(), &param);
    param.mutable_state()->set_phase(TRAIN);
    for (LayerParameter& layer : *param.mutable_layer()) {
      if (layer.name() == "data") {
        layer.mutable_data_param()->set_source(validation ? task.val_source()
                                                          : task.train_source());
        layer.mutable_data_param()->set_batch_size(t == 0 ? 4 : 6);
      }
      if (layer.name() == "fc") {
        layer.mutable_inner_product_param()->set_num_output(t == 0 ? 2 : 3);
      }
      if (validation && layer.type() == "BatchNorm") {
        layer.mutable_batch_norm_param()->set_use_global_stats(true);
      }
    }
    return std::unique_ptr<Net<double>>(new Net<double>(param));
  }

  template <class Work>
  void ExpectError(const Work& work, const vector<string>& parts) {
    try {
      work();
      ADD_FAILURE() << "no error; expected one with '" << parts[0] << "'";
    } catch (const Error& e) {
      const string what = e.what();
      for (const string& part : parts) EXPECT_NE(what.find(part), string::npos) << what;
      EXPECT_EQ(what.find('\n'), string::npos) << what;
    }
  }
  void ExpectRefused(const MetaSolverParameter& param, const vector<string>& parts) {
    ExpectError([&] { MetaSolver<float> solver(param); }, parts);
  }

  string dir_;
};

}  // namespace meta_testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_SOLVERS_META_SOLVER_FIXTURE_HPP_
