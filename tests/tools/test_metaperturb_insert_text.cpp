// The text that `metaperturb insert` writes: the user's own, with what it says about the network
// changed and all else kept. Reading it back must give the network that a plain dump would.
#include "caffe/util/upgrade_proto.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

class InsertText : public testing::TempDirTest {
 protected:
  // What the text of a network becomes.
  string Inserted(const string& text, const string& flags = "--phi=none --spatial_norm_factor=32") {
    Write("in.prototxt", text);
    EXPECT_EQ(Run("metaperturb", "insert --model=in.prototxt --output=out.prototxt " + flags), 0)
        << output_;
    return Read("out.prototxt");
  }
};

constexpr char kMetaPerturb[] = R"(layer {
  name: "NAME_mp"
  type: "MetaPerturb"
  bottom: "NAME"
  top: "NAME_mp"
  metaperturb_param {
  }
}
)";

string MetaPerturb(const string& name) {
  string text = kMetaPerturb;
  for (size_t at; (at = text.find("NAME")) != string::npos;) text.replace(at, 4, name);
  return text;
}

TEST_F(InsertText, CommentsAndLayoutStay) {
  const string data =
      "# layer { in a comment }\n"
      "name: 'layer { \\' } #'\t# no comment begins in a string\n"
      "layer { name: 'data' type: 'Input' top: 'data'\n"
      "  input_param: { shape < dim: [2, 3, 8, 8] > } };\n\n";
  const string conv =
      "layer: { # the first\n"
      "\ttype: \"Convolution\" name: \"c1\" bottom: \"data\" top: \"c1\"\n"
      "\tconvolution_param { num_output: 4 kernel_size: 3 }\n} # its end\n";
  const string relu =
      "# in place\nlayer { name: 'r' type: 'ReLU' bottom: 'c1' # bottom: 'c1'\n"
      "  top: 'c1' }";
  const string head =
      "  layer { bottom: 'c1' top: 'y' name: 'y' type: 'InnerProduct'\n"
      "  inner_product_param { num_output: 2 } } # no line end";
  EXPECT_EQ(Inserted(data + conv + relu + head),
            data + conv + MetaPerturb("c1") +
                "# in place\nlayer { name: 'r' type: 'ReLU' bottom: \"c1_mp\" # bottom: 'c1'\n"
                "  top: \"c1_mp\" }"
                "  layer { bottom: \"c1_mp\" top: 'y' name: 'y' type: 'InnerProduct'\n"
                "  inner_product_param { num_output: 2 } } # no line end");
  EXPECT_EQ(output_, "out.prototxt: 1 MetaPerturb layers inserted\n");
}

TEST_F(InsertText, NewLayerBehindALayerThatEndsWithinALine) {
  const string text =
      "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 2 dim: 3 dim: 8 "
      "dim: 8 } } } layer { name: 'c1' type: 'Convolution' bottom: 'data' top: 'c1' "
      "convolution_param { num_output: 4 kernel_size: 3 } }";
  const string head =
      " layer { name: 'y' type: 'InnerProduct' bottom: 'c1' top: 'y' "
      "inner_product_param { num_output: 2 } }\n";
  string renamed = head;
  renamed.replace(renamed.find("'c1'"), 4, "\"c1_mp\"");
  EXPECT_EQ(Inserted(text + head), text + "\n" + MetaPerturb("c1") + renamed);
}

TEST_F(InsertText, ALayerThatChangesIsWrittenAnewAlone) {
  const string begin =
      "# mine\nlayer { name: 'data' type: 'Input' top: 'x' top: 'label' "
      "input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }\n";
  const string fc =
      "layer { name: 'y' type: 'InnerProduct' bottom: 'x' top: 'y' "
      "inner_product_param { num_output: 2 } } # features\n# the loss\n";
  const string end = "# the end\n";
  const string loss =
      "layer { name: 'loss' type: 'SoftmaxWithLoss' # plain\n"
      "bottom: 'y' bottom: 'label' top: 'loss' }\n";
  const string text = Inserted(begin + fc + loss + end, "--regularizer=label_smoothing");
  EXPECT_EQ(text.find(begin + fc + "layer {\n  name: \"loss\"\n  type: \"SoftTargetLoss\"\n"), 0u)
      << text;
  EXPECT_EQ(text.substr(text.size() - end.size()), end);
  EXPECT_EQ(text.find("# plain"), string::npos);
}

// Every model of the project and way to change it: what is read back is checked by the tool itself,
// which else writes the network anew.
TEST_F(InsertText, ModelsKeepTheirText) {
  for (const string model : {"resnet20", "vgg9", "mobilenet"}) {
    const string source = METAPERTURB_SOURCE_DIR "/models/" + model + "/train_val.prototxt";
    for (const string type : {"metaperturb", "cutout", "dropblock", "information_dropout",
                              "label_smoothing", "manifold_mixup", "mixup"}) {
      ASSERT_EQ(Run("metaperturb", "insert --model=" + source + " --output=out.prototxt " +
                                       "--regularizer=" + type),
                0)
          << output_;
      EXPECT_EQ(output_.find("anew"), string::npos) << model << " " << output_;
      EXPECT_EQ(Read("out.prototxt").find("# " + model), 0u) << type;
      NetParameter net;
      ReadNetParamsFromTextFileOrDie(Path("out.prototxt"), &net);
    }
  }
}

// Layers in a list, and networks of older formats, lose their comments, and it is said.
TEST_F(InsertText, OtherFormsAreWrittenAnew) {
  const string conv =
      "name: 'c1' %type bottom: 'data' top: 'c1' convolution_param { num_output: 4 "
      "kernel_size: 3 }";
  const string head = "name: 'y' %type bottom: 'c1' top: 'y' inner_product_param { num_output: 2 }";
  const auto typed = [](string text, const string& type) {
    return text.replace(text.find("%type"), 5, "type: " + type);
  };
  const string input = "# a comment\ninput: 'data' input_shape { dim: 2 dim: 3 dim: 8 dim: 8 }\n";
  const string list = "layer: [{ " + typed(conv, "'Convolution'") + " }, { " +
                      typed(head, "'InnerProduct'") + " }]";
  const string old = "layers { " + typed(conv, "CONVOLUTION") + " } layers { " +
                     typed(head, "INNER_PRODUCT") + " }";
  for (const string& layers : {list, old}) {
    const string text = Inserted(input + layers);
    EXPECT_EQ(text.find("# a comment"), string::npos);
    EXPECT_NE(text.find(MetaPerturb("c1")), string::npos) << text;
    EXPECT_EQ(output_,
              "out.prototxt: 1 MetaPerturb layers inserted (written anew, without the comments)\n");
  }
}

}  // namespace
}  // namespace caffe
