// `caffe train` on images that a test writes: the network must learn to tell them apart.
#include <gtest/gtest.h>

#include <cmath>

#include "testing/data_util.hpp"
#include "util/philox.hpp"

namespace caffe {
namespace testing {
namespace {

const int kSize = 12;

/// A grating of random phase, wavelength and contrast under noise; the class is its orientation. No
/// pixel, and no mean of pixels, tells anything about the class.
Datum Grating(int index, int label) {
  const auto uniform = [index](int i) {
    return Philox::At(PhiloxKey(11, 3), index, i, 0, 0).v[0] / 4294967296.0;
  };
  Datum datum;
  datum.set_channels(1);
  datum.set_height(kSize);
  datum.set_width(kSize);
  datum.set_label(label);
  const double angle = M_PI * label / 3, phase = 2 * M_PI * uniform(0);
  const double wave = 2 * M_PI / (4 + 2 * uniform(1)), contrast = 40 + 40 * uniform(2);
  for (int y = 0; y < kSize; ++y) {
    for (int x = 0; x < kSize; ++x) {
      const double at = wave * (x * std::cos(angle) + y * std::sin(angle)) + phase;
      const double noise = 80 * (uniform(3 + y * kSize + x) - 0.5);
      datum.mutable_data()->push_back(static_cast<char>(128 + contrast * std::sin(at) + noise));
    }
  }
  return datum;
}

void WriteGratings(const string& path, int from, int count) {
  vector<Datum> images;
  for (int i = from; i < from + count; ++i) images.push_back(Grating(i, i % 3));
  WriteDatums(path, images);
}

string DataLayer(const string& phase, const string& source) {
  return "layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: " + phase +
         " } transform_param { scale: 0.02 mean_value: 128 }\n"
         "  data_param { source: '" +
         source + "' batch_size: 30 backend: LMDB } }\n";
}

/// Convolution, BatchNorm, Scale, MetaPerturb where `mp` asks for it, and ReLU. The top is
/// NAME_bn or NAME_mp.
string Block(const string& name, const string& bottom, int channels, bool mp) {
  const string bn = name + "_bn", last = mp ? name + "_mp" : bn;
  string text = "layer { name: '" + name + "' type: 'Convolution' bottom: '" + bottom + "' top: '" +
                name + "' convolution_param { num_output: " + std::to_string(channels) +
                " kernel_size: 3 pad: 1 bias_term: false weight_filler { type: 'msra' } } }\n" +
                "layer { name: '" + bn + "' type: 'BatchNorm' bottom: '" + name + "' top: '" + bn +
                "' batch_norm_param { moving_average_fraction: 0.9 } }\n" + "layer { name: '" +
                name + "_scale' type: 'Scale' bottom: '" + bn + "' top: '" + bn +
                "' scale_param { bias_term: true } }\n";
  if (mp) {
    text += "layer { name: '" + last + "' type: 'MetaPerturb' bottom: '" + bn + "' top: '" + last +
            "' metaperturb_param { spatial_norm_factor: 12 anneal_iter: 60 } }\n";
  }
  return text + "layer { name: '" + name + "_relu' type: 'ReLU' bottom: '" + last + "' top: '" +
         last + "' }\n";
}

string Network(bool mp) {
  const string end = mp ? "_mp" : "_bn";
  return DataLayer("TRAIN", "train_lmdb") + DataLayer("TEST", "test_lmdb") +
         Block("conv1", "data", 8, mp) + "layer { name: 'pool1' type: 'Pooling' bottom: 'conv1" +
         end + R"(' top: 'pool1'
           pooling_param { pool: MAX kernel_size: 2 stride: 2 } })" +
         Block("conv2", "pool1", 16, mp) + "layer { name: 'pool2' type: 'Pooling' bottom: 'conv2" +
         end + R"(' top: 'pool2'
           pooling_param { pool: AVE global_pooling: true } }
         layer { name: 'fc' type: 'InnerProduct' bottom: 'pool2' top: 'fc'
           inner_product_param { num_output: 3 weight_filler { type: 'xavier' } } }
         layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'fc' bottom: 'label' top: 'loss' }
         layer { name: 'accuracy' type: 'Accuracy' bottom: 'fc' bottom: 'label' top: 'accuracy'
           include { phase: TEST } })";
}

class Learns : public TempDirTest {
 protected:
  void Train(bool mp) {
    WriteGratings(Path("train_lmdb"), 0, 600);
    WriteGratings(Path("test_lmdb"), 600, 300);
    Write("net.prototxt", Network(mp));
    Write("solver.prototxt",
          "net: 'net.prototxt' type: 'Adam' base_lr: 0.01 momentum: 0.9 momentum2: 0.999\n"
          "lr_policy: 'multistep' gamma: 0.1 stepvalue: 120 max_iter: 150 random_seed: 5\n"
          "test_iter: 10 test_interval: 150 snapshot_prefix: 'net'\n");
    ASSERT_EQ(0, Run("caffe", "train --solver=solver.prototxt")) << output_;
    const vector<double> accuracy = Accuracies();
    ASSERT_EQ(2u, accuracy.size()) << output_;  // before and after
    EXPECT_LT(accuracy[0], 0.6);
    EXPECT_GT(accuracy[1], 0.95);
    // The snapshot is what was tested.
    ASSERT_EQ(0, Run("caffe",
                     "test --model=net.prototxt --weights=net_iter_150.caffemodel --iterations=10"))
        << output_;
    EXPECT_GT(Accuracies().back(), 0.95) << output_;
  }

  /// The values of all lines "... accuracy = 0.98".
  vector<double> Accuracies() const {
    vector<double> values;
    const string key = " accuracy = ";
    for (size_t at = output_.find(key); at != string::npos; at = output_.find(key, at + 1)) {
      values.push_back(std::atof(output_.c_str() + at + key.size()));
    }
    return values;
  }
};

TEST_F(Learns, PlainNetwork) {
  Train(false);
}

TEST_F(Learns, NetworkWithMetaPerturb) {
  Train(true);
}

}  // namespace
}  // namespace testing
}  // namespace caffe
