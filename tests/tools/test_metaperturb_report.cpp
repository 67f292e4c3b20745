// Runs `metaperturb report` as a user does.

#include <gtest/gtest.h>

#include "testing/data_util.hpp"

namespace caffe {
namespace {

class MetaPerturbReport : public testing::TempDirTest {
 protected:
  void SetUp() override {
    Write("m.csv",
          "iteration,theta_loss,val_loss,phi_gradient_norm,phi_norm,a/train_loss,a/val_loss,"
          "\"b & \"\"c\"\", d/train_loss\",a/mp1/noise_mean,a/mp1/noise_deviation,a/mp1/scale_mean,"
          "a/mp1/scale_deviation,b/mp1/noise_mean\n"
          "0,2,2,1,0.1,2,2,2,0.7,0.2,0.5,0,0.7\n"
          "10,1,1.5,inf,0.2,1,1.5,1,0.8,0.25,0.5,0.125,0.9\n");
    NetParameter net;
    LayerParameter* layer = net.add_layer();
    layer->set_type("MetaPerturb");
    BlobProto* phi = layer->add_blobs();
    phi->mutable_shape()->add_dim(82);
    for (int i = 0; i < 82; ++i) phi->add_data(i == 0 ? -0.72f : 0.01f * i);
    WriteProtoToBinaryFile(net, Path("phi.caffemodel"));
  }
  void ExpectInPage(const vector<string>& parts) {
    const string page = Read("r.html");
    for (const string& part : parts) {
      EXPECT_NE(string::npos, page.find(part)) << part << " is not in: " << page;
    }
  }
  static size_t Count(const string& text, const string& part) {
    size_t count = 0;
    for (size_t at = 0; (at = text.find(part, at)) != string::npos; at += part.size()) ++count;
    return count;
  }
};

TEST_F(MetaPerturbReport, TasksWithSlashesAndNoNumbers) {
  Write("m.csv",
        "iteration,x/y/train_loss,x/train_loss,x/mp1/noise_mean,x/y/mp1/noise_mean,"
        "x/b/mp1/noise_mean,x/b/mp1/scale_mean\n0,1,1,2,4,nan,nan\n10,1,1,2,4,nan,nan\n");
  ASSERT_EQ(0, Run("metaperturb", "report --csv=m.csv --output=r.html")) << output_;
  ExpectInPage({"<th>mp1</th><td>3</td>", "<th>b/mp1</th>"});
  const string page = Read("r.html");
  EXPECT_EQ(string::npos, page.find("<th>y/mp1</th>"));
  EXPECT_EQ(2u, Count(page, "width:0px"));
}

TEST_F(MetaPerturbReport, CurvesPhiAndLayers) {
  ASSERT_EQ(0, Run("metaperturb", "report --csv=m.csv --phi=phi.caffemodel --output=r.html"))
      << output_;
  ExpectInPage({"m.csv, iterations 0 to 10; phi from phi.caffemodel",
                // The losses' line: from 2 at the left to 1 at 420 pixels from there, on an axis
                // from 0 to 2.
                "points='62,44 482,184 '", "b &amp; &quot;c&quot;, d",
                // The kernel of the largest value, and the smallest, which has full colour.
                "<caption>kappa4</caption>", "rgb(0,0,255)'>-0.72<", ">0.71<",
                // The last row's layers, mean over the tasks: noise (0.8 + 0.9) / 2.
                "<th>mp1</th><td>0.85</td><td>0.25</td><td>0.5</td><td>0.125</td>",
                "width:42.5px"});
  const string page = Read("r.html");
  EXPECT_EQ(8u, Count(page, "<table class='kernel'>"));
  EXPECT_EQ(82u, Count(page, "</td>") - 5);
  // Opens without a network: no address but the name of SVG's namespace, no script.
  EXPECT_EQ(Count(page, "xmlns='http://www.w3.org/2000/svg'"), Count(page, "http"));
  EXPECT_EQ(string::npos, page.find("<script"));
  EXPECT_EQ(Count(page, "<svg"), Count(page, "</svg>"));
  EXPECT_EQ(Count(page, "<table"), Count(page, "</table>"));
}

// As that of a run that goes on, or was killed.
TEST_F(MetaPerturbReport, ARowThatIsNotFinishedIsLeftOut) {
  const string whole = Read("m.csv");
  for (const string row : {"2", "20,1,1.5", "20,1,1.5,1,0.2,1,1.5,1,0.8,0.25,0.5,0.125,0."}) {
    Write("m.csv", whole + row);
    ASSERT_EQ(0, Run("metaperturb", "report --csv=m.csv --output=r.html")) << output_;
    ExpectInPage({"m.csv, iterations 0 to 10", "<th>mp1</th><td>0.85</td>"});
  }
}

TEST_F(MetaPerturbReport, WhatIsNotThereIsLeftOut) {
  Write("m.csv", "iteration,theta_loss\n0,2\n");
  ASSERT_EQ(0, Run("metaperturb", "report --csv=m.csv --output=r.html")) << output_;
  const string page = Read("r.html");
  EXPECT_EQ(1u, Count(page, "<svg"));
  EXPECT_EQ(string::npos, page.find("kernel'>"));
  EXPECT_EQ(string::npos, page.find("Where the perturbation acts"));
}

TEST_F(MetaPerturbReport, Errors) {
  const auto expect = [this](const string& csv, const vector<string>& parts) {
    Write("bad.csv", csv);
    ExpectToolError("metaperturb", "report --csv=bad.csv --output=r.html", parts);
  };
  ExpectToolError("metaperturb", "report --output=r.html", {"--csv is not given"});
  ExpectToolError("metaperturb", "report --csv=m.csv", {"--output is not given"});
  ExpectToolError("metaperturb", "report --csv=none --output=r.html", {"none: cannot be read"});
  expect("", {"bad.csv: cannot be read, or is empty"});
  expect("step,a\n1,2\n", {"bad.csv:1: the first column is 'step'"});
  expect("iteration,a\n", {"bad.csv: has no row"});
  expect("iteration,a\n1,2\n2\n", {"bad.csv:3: has 1 values, not 2"});
  expect("iteration,a\n1,x\n", {"bad.csv:2: 'x' is no number"});
  ExpectToolError("metaperturb", "report --csv=m.csv --phi=none.caffemodel --output=r.html",
                  {"none.caffemodel"});
  ExpectToolError("metaperturb", "report --csv=m.csv --output=none/r.html",
                  {"none/r.html: cannot be written"});
}

}  // namespace
}  // namespace caffe
