// metaperturb insert: puts MetaPerturb layers into a user's network.

#include "caffe/common.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "layers/insert_metaperturb.hpp"
#include "tools/metaperturb/commands.hpp"
#include "util/error.hpp"

DEFINE_string(model, "",
              "insert: the network, a prototxt; generate: resnet20, ... (models/README.md)");
DEFINE_string(output, "", "The prototxt to write");
DEFINE_string(phi, "", "File with phi, for the new layers' metaperturb_param.phi");
DEFINE_bool(shared, false, "Name phi \"phi\", so that the meta-solver can learn it");
DEFINE_double(spatial_norm_factor, 32, "Height of the network's input");
DEFINE_string(
    host, metaperturb::kHasField ? "metaperturb" : "caffe",
    "Where the network is to run: metaperturb (metaperturb_param), or caffe, a Caffe that "
    "knows no such field (python_param.param_str)");
DEFINE_int32(anneal_iter, 0, "Passes over which the perturbation rises to its full strength");

metaperturb::InsertOptions InsertOptionsFromFlags() {
  metaperturb::InsertOptions options;
  options.shared = FLAGS_shared;
  ENFORCE(FLAGS_host == "metaperturb" || FLAGS_host == "caffe")
      << "--host=" << FLAGS_host << ": metaperturb or caffe";
  options.as_param_str = FLAGS_host == "caffe";
  ENFORCE(FLAGS_anneal_iter >= 0) << "--anneal_iter is " << FLAGS_anneal_iter;
  if (!FLAGS_phi.empty()) options.param.set_phi(FLAGS_phi);
  if (FLAGS_spatial_norm_factor != 32) {
    options.param.set_spatial_norm_factor(static_cast<float>(FLAGS_spatial_norm_factor));
  }
  if (FLAGS_anneal_iter > 0) options.param.set_anneal_iter(FLAGS_anneal_iter);
  return options;
}

int RunInsert() {
  ENFORCE(!FLAGS_model.empty()) << "--model is not given";
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  caffe::NetParameter net, out;
  caffe::ReadNetParamsFromTextFileOrDie(FLAGS_model, &net);
  int count = 0;
  try {
    count = metaperturb::InsertMetaPerturb(net, InsertOptionsFromFlags(), &out);
  } catch (const caffe::Error& e) {
    throw caffe::Error(FLAGS_model + ": " + e.what());
  }
  caffe::WriteProtoToTextFile(out, FLAGS_output);
  std::cout << FLAGS_output << ": " << count << " MetaPerturb layers inserted" << std::endl;
  return 0;
}
