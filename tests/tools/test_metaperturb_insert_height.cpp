// spatial_norm_factor of the layers that `metaperturb insert` writes: the height of the network's
// images, where something tells it.
#include "caffe/util/upgrade_proto.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

class InsertHeight : public testing::TempDirTest {
 protected:
  // The factor in the network with this input.
  float Factor(const string& input, const string& flags = "") {
    Write("in.prototxt", input +
                             " layer { name: 'c1' type: 'Convolution' bottom: 'x' top: 'c1' "
                             "convolution_param { num_output: 4 kernel_size: 3 } }");
    EXPECT_EQ(Run("metaperturb", "insert --model=in.prototxt --output=out.prototxt " + flags), 0)
        << output_;
    NetParameter net;
    ReadNetParamsFromTextFileOrDie(Path("out.prototxt"), &net);
    const LayerParameter& last = net.layer(net.layer_size() - 1);
    EXPECT_EQ(last.type(), "MetaPerturb");
    return last.metaperturb_param().spatial_norm_factor();
  }

  bool Warned() const {
    return output_.find("in.prototxt: no layer tells the height") != string::npos;
  }
};

string Data(const string& source, const string& more = "") {
  return "layer { name: 'd' type: 'Data' top: 'x' top: 'label' " + more +
         " data_param { backend: LMDB batch_size: 2 source: '" + source + "' } }";
}

TEST_F(InsertHeight, TheDefinitionTells) {
  EXPECT_EQ(Factor(Data("nowhere", "transform_param { crop_size: 84 }")), 84);
  EXPECT_EQ(output_, "out.prototxt: 1 MetaPerturb layers inserted, for images 84 pixels high\n");
  const string shape = "shape { dim: 2 dim: 3 dim: 20 dim: 24 }";
  for (const string& input :
       {"layer { name: 'd' type: 'Input' top: 'x' input_param { " + shape + " } }",
        "layer { name: 'd' type: 'DummyData' top: 'x' dummy_data_param { " + shape + " } }",
        string("layer { name: 'd' type: 'MemoryData' top: 'x' top: 'label' memory_data_param { "
               "batch_size: 2 channels: 3 height: 20 width: 24 } }"),
        string("layer { name: 'd' type: 'ImageData' top: 'x' top: 'label' image_data_param { "
               "source: 'list' new_height: 20 new_width: 24 } }"),
        string("input: 'x' input_shape { dim: 2 dim: 3 dim: 20 dim: 24 }"),
        string("input: 'x' input_dim: 2 input_dim: 3 input_dim: 20 input_dim: 24")}) {
    EXPECT_EQ(Factor(input), 20) << input;
    EXPECT_EQ(Factor(input, "--shared"), 20) << input;
    EXPECT_FALSE(Warned());
  }
}

TEST_F(InsertHeight, TheRecordsTell) {
  testing::WriteDatums(Path("images"), {testing::ByteDatum(1, 28, 30, 0)});
  EXPECT_EQ(Factor(Data("images")), 28);
  EXPECT_EQ(Factor(Data("images", "transform_param { crop_size: 24 }")), 24);
}

TEST_F(InsertHeight, TheUsualHeightNeedsNoWord) {
  Factor(Data("nowhere", "transform_param { crop_size: 32 }"));
  EXPECT_EQ(output_, "out.prototxt: 1 MetaPerturb layers inserted\n");
  EXPECT_EQ(Read("out.prototxt").find("spatial_norm_factor"), string::npos);
}

TEST_F(InsertHeight, NothingTells) {
  EXPECT_EQ(Factor(Data("nowhere")), 32);
  EXPECT_TRUE(Warned()) << output_;
  testing::WriteDatums(Path("images"), {testing::ByteDatum(1, 28, 30, 0)});
  Write("images/data.mdb", "damaged");
  EXPECT_EQ(Factor(Data("images")), 32);
  EXPECT_TRUE(Warned()) << output_;
  Datum compressed = testing::ByteDatum(1, 28, 30, 0);
  compressed.set_encoded(true);
  testing::WriteDatums(Path("compressed"), {compressed});
  EXPECT_EQ(Factor(Data("compressed")), 32);
  EXPECT_TRUE(Warned()) << output_;
}

TEST_F(InsertHeight, TheFlagHasTheLastWord) {
  const string input = Data("nowhere", "transform_param { crop_size: 84 }");
  EXPECT_EQ(Factor(input, "--spatial_norm_factor=48"), 48);
  EXPECT_EQ(Factor(input, "--spatial_norm_factor=32"), 32);
}

}  // namespace
}  // namespace caffe
