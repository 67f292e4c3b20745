// metaperturb insert: puts MetaPerturb layers, or a regulariser that they are compared with, into a
// user's network.

#include <algorithm>
#include <boost/algorithm/string/join.hpp>
#include <cmath>
#include <fstream>
#include <map>

#include "caffe/common.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "layers/insert_metaperturb.hpp"
#include "layers/insert_regularizer.hpp"
#include "layers/read_phi.hpp"
#include "tools/metaperturb/commands.hpp"
#include "tools/metaperturb/edited_text.hpp"
#include "tools/metaperturb/input_height.hpp"
#include "tools/metaperturb/shipped_phi.hpp"
#include "util/atomic_file.hpp"
#include "util/error.hpp"
#include "util/nearest_name.hpp"

DEFINE_string(model, "", "The network, a prototxt");
DEFINE_string(output, "", "What is written");
DEFINE_string(phi, "",
              "File with phi, for the new layers' metaperturb_param.phi; default: the one that "
              "comes with the project, with --shared none; none: phi is drawn at random");
DEFINE_bool(shared, false, "Name phi \"phi\", so that the meta-solver can learn it");
DEFINE_double(spatial_norm_factor, 32,
              "Height of the network's input; default: what the network tells, else 32");
DEFINE_string(
    host, metaperturb::kHasField ? "metaperturb" : "caffe",
    "Where the network is to run: metaperturb (metaperturb_param), or caffe, a Caffe that "
    "knows no such field (python_param.param_str)");
DEFINE_int32(anneal_iter, 0,
             "Passes over which the perturbation, or dropblock, rises to its full strength; 0: it "
             "has it from the start");
DEFINE_string(regularizer, "metaperturb",
              "metaperturb, cutout, dropblock, information_dropout, label_smoothing, "
              "manifold_mixup, mixup or stochastic_depth");
DEFINE_double(drop_prob, 0.1, "dropblock: share of the activations that are dropped");
DEFINE_int32(block_size, 7, "dropblock: side of the dropped squares");
DEFINE_double(max_alpha, 0.7, "information_dropout: bound of the noise");
DEFINE_double(kl_weight, 3.0 / 50000,
              "information_dropout: loss_weight of the divergence, beta over the training images");
DEFINE_double(mixup_alpha, 0,
              "mixup, manifold_mixup: lambda ~ Beta(alpha, alpha); 0: 1 for mixup, 2 for "
              "manifold_mixup");
DEFINE_int32(positions, 3, "manifold_mixup: places to mix at, the input among them");
DEFINE_double(label_smoothing, 0.1, "label_smoothing: share of the uniform distribution");
DEFINE_int32(cutout_length, 16, "cutout: side of the square in pixels");
DEFINE_double(survival_prob, 0.5, "stochastic_depth: that of the last block");

namespace {

bool IsForForeignHost() {
  ENFORCE(FLAGS_host == "metaperturb" || FLAGS_host == "caffe")
      << "--host=" << FLAGS_host << ": metaperturb or caffe";
  return FLAGS_host == "caffe";
}

}  // namespace

metaperturb::InsertOptions InsertOptionsFromFlags() {
  metaperturb::InsertOptions options;
  options.shared = FLAGS_shared;
  options.as_param_str = IsForForeignHost();
  ENFORCE(FLAGS_anneal_iter >= 0) << "--anneal_iter is " << FLAGS_anneal_iter;
  ENFORCE(FLAGS_spatial_norm_factor > 0 && std::isfinite(FLAGS_spatial_norm_factor))
      << "--spatial_norm_factor=" << FLAGS_spatial_norm_factor << ": must be positive";
  if (!FLAGS_phi.empty() && FLAGS_phi != "none") {
    options.param.set_phi(FLAGS_phi);
    if (std::ifstream(FLAGS_phi)) {
      caffe::ReadPhi(FLAGS_phi);  // an Error where it is no such file
    } else {                      // it may be meant for another folder or machine
      LOG(WARNING) << "--phi=" << FLAGS_phi << " cannot be read here";
    }
  }
  if (FLAGS_phi.empty() && !FLAGS_shared) options.param.set_phi(metaperturb::ShippedPhi());
  if (FLAGS_spatial_norm_factor != 32) {
    options.param.set_spatial_norm_factor(static_cast<float>(FLAGS_spatial_norm_factor));
  }
  if (FLAGS_anneal_iter > 0) options.param.set_anneal_iter(FLAGS_anneal_iter);
  return options;
}

namespace {

// --regularizer is one that there is, and the other flags say something about it.
void CheckFlags() {
  using Names = std::vector<std::string>;
  const Names names = metaperturb::RegularizerNames();
  ENFORCE(FLAGS_regularizer == "metaperturb" ||
          std::find(names.begin(), names.end(), FLAGS_regularizer) != names.end())
      << "--regularizer=" << FLAGS_regularizer << caffe::DidYouMean(FLAGS_regularizer, names)
      << ": metaperturb, " << boost::algorithm::join(names, ", ");
  const std::map<std::string, Names> takers = {{"phi", {"metaperturb"}},
                                               {"shared", {"metaperturb"}},
                                               {"spatial_norm_factor", {"metaperturb"}},
                                               {"anneal_iter", {"metaperturb", "dropblock"}},
                                               {"drop_prob", {"dropblock"}},
                                               {"block_size", {"dropblock"}},
                                               {"max_alpha", {"information_dropout"}},
                                               {"kl_weight", {"information_dropout"}},
                                               {"mixup_alpha", {"mixup", "manifold_mixup"}},
                                               {"positions", {"manifold_mixup"}},
                                               {"label_smoothing", {"label_smoothing"}},
                                               {"cutout_length", {"cutout"}},
                                               {"survival_prob", {"stochastic_depth"}}};
  for (const auto& [flag, takes] : takers) {
    if (gflags::GetCommandLineFlagInfoOrDie(flag.c_str()).is_default) continue;
    ENFORCE(std::find(takes.begin(), takes.end(), FLAGS_regularizer) != takes.end())
        << "--" << flag << " is for --regularizer=" << boost::algorithm::join(takes, " or ")
        << "; it is " << FLAGS_regularizer;
  }
}

metaperturb::RegularizerOptions RegularizerOptionsFromFlags() {
  // The layers have floats: one that is rounded to a limit is beyond it.
  const auto limit = [](const char* flag, double value, bool good, const char* rule) {
    ENFORCE(good && std::isfinite(static_cast<float>(value)))
        << "--" << flag << "=" << value << ": must " << rule;
  };
  const auto drop_prob = static_cast<float>(FLAGS_drop_prob);
  const auto max_alpha = static_cast<float>(FLAGS_max_alpha);
  const auto survival_prob = static_cast<float>(FLAGS_survival_prob);
  limit("anneal_iter", FLAGS_anneal_iter, FLAGS_anneal_iter >= 0, "not be negative");
  limit("drop_prob", FLAGS_drop_prob, drop_prob >= 0 && drop_prob < 1, "lie in [0, 1)");
  limit("block_size", FLAGS_block_size, FLAGS_block_size > 0, "be positive");
  limit("max_alpha", FLAGS_max_alpha, max_alpha > 0, "be positive and finite");
  limit("kl_weight", FLAGS_kl_weight, FLAGS_kl_weight >= 0, "be finite and not negative");
  limit("mixup_alpha", FLAGS_mixup_alpha, FLAGS_mixup_alpha >= 0, "be finite and not negative");
  limit("positions", FLAGS_positions, FLAGS_positions > 1, "be above 1");
  limit("label_smoothing", FLAGS_label_smoothing,
        FLAGS_label_smoothing > 0 && FLAGS_label_smoothing <= 1, "lie in (0, 1]");
  limit("cutout_length", FLAGS_cutout_length, FLAGS_cutout_length > 0, "be positive");
  limit("survival_prob", FLAGS_survival_prob, survival_prob > 0 && survival_prob <= 1,
        "lie in (0, 1]");
  metaperturb::RegularizerOptions options;
  options.type = FLAGS_regularizer;
  options.as_param_str = IsForForeignHost();
  options.dropblock.set_drop_prob(drop_prob);
  options.dropblock.set_block_size(static_cast<uint32_t>(FLAGS_block_size));
  if (FLAGS_anneal_iter > 0) {
    options.dropblock.set_anneal_iter(static_cast<uint32_t>(FLAGS_anneal_iter));
  }
  options.information_dropout.set_max_alpha(max_alpha);
  options.kl_weight = FLAGS_kl_weight;
  options.mixup_alpha = FLAGS_mixup_alpha;
  options.positions = FLAGS_positions;
  options.label_smoothing = FLAGS_label_smoothing;
  options.cutout.set_length(static_cast<uint32_t>(FLAGS_cutout_length));
  options.survival_prob = FLAGS_survival_prob;
  return options;
}

// What was inserted, for the user.
std::string InsertMetaPerturb(const caffe::NetParameter& net, caffe::NetParameter* out) {
  metaperturb::InsertOptions options = InsertOptionsFromFlags();
  std::string text = " MetaPerturb layers inserted";
  if (gflags::GetCommandLineFlagInfoOrDie("spatial_norm_factor").is_default) {
    const int height = metaperturb::InputHeight(net);
    if (height == 0) {
      LOG(WARNING) << FLAGS_model << ": no layer tells the height of the images (crop_size, or a "
                   << "shape); --spatial_norm_factor=HEIGHT, where it is not 32";
    } else if (height != 32) {
      options.param.set_spatial_norm_factor(static_cast<float>(height));
      text += ", for images " + std::to_string(height) + " pixels high";
    }
  }
  return std::to_string(metaperturb::InsertMetaPerturb(net, options, out)) + text;
}

std::string Insert(const caffe::NetParameter& net, caffe::NetParameter* out) {
  CheckFlags();
  if (FLAGS_regularizer == "metaperturb") return InsertMetaPerturb(net, out);
  const metaperturb::RegularizerOptions options = RegularizerOptionsFromFlags();
  const int count = metaperturb::InsertRegularizer(net, options, out);
  return options.type + " in " + std::to_string(count) + (count == 1 ? " place" : " places");
}

}  // namespace

int RunInsert() {
  ENFORCE(!FLAGS_model.empty()) << "--model is not given";
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  caffe::NetParameter net, out;
  caffe::ReadNetParamsFromTextFileOrDie(FLAGS_model, &net);
  std::string done;
  try {
    done = Insert(net, &out);
  } catch (const caffe::Error& e) {
    throw caffe::Error(FLAGS_model + ": " + e.what());
  }
  std::ostringstream text;
  text << std::ifstream(FLAGS_model).rdbuf();
  const std::string edited = metaperturb::EditedText(text.str(), out);
  if (edited.empty()) {
    caffe::WriteProtoToTextFile(out, FLAGS_output);
    if (text.str().find('#') != std::string::npos) done += " (written anew, without the comments)";
  } else {
    caffe::WriteFile(FLAGS_output, edited);
  }
  std::cout << FLAGS_output << ": " << done << std::endl;
  return 0;
}
