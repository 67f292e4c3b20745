// metaperturb generate: writes model definitions, those of models/ among them.
//   --output=FILE.prototxt  the network, with --mp with MetaPerturb layers
//   --output=FOLDER         train_val.prototxt and solver.prototxt, the same with _mp for the
//                           network with MetaPerturb, and meta_train_val.prototxt, where phi can be
//                           learned

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <boost/algorithm/string/join.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iostream>
#include <iterator>

#include "caffe/common.hpp"
#include "layers/insert_metaperturb.hpp"
#include "tools/metaperturb/commands.hpp"
#include "tools/metaperturb/model_builder.hpp"
#include "tools/metaperturb/record_count.hpp"
#include "util/atomic_file.hpp"
#include "util/error.hpp"
#include "util/path_exists.hpp"

DECLARE_string(model);
DECLARE_string(output);
DECLARE_int32(anneal_iter);
DEFINE_bool(mp, false, "With MetaPerturb layers");
DEFINE_int32(classes, 10, "Number of classes");
DEFINE_int32(crop, 0, "Height and width of the network's input; 0: what the model is meant for");
DEFINE_int32(batch, 128, "Images per training batch");
DEFINE_int32(test_batch, 100, "Images per test batch");
DEFINE_int32(test_images, 0,
             "Images in the test set; 0: those of --test_source, and 10000 where that is "
             "not there yet");
DEFINE_int32(test_samples, 1, "Noise samples whose softmax is averaged in TEST, with MetaPerturb");
DEFINE_string(train_source, "data/train_lmdb", "LMDB with the training images");
DEFINE_string(test_source, "data/test_lmdb", "LMDB with the test images");
DEFINE_int32(max_iter, 10000, "Training steps");
DEFINE_int32(tests, 20, "Tests during the training");
DEFINE_double(base_lr, 1e-3, "Learning rate at the beginning");
DEFINE_int64(seed, -1, "Seed of the random choices");

metaperturb::InsertOptions InsertOptionsFromFlags();

namespace {

using caffe::NetParameter;
using std::string;

void Write(const google::protobuf::Message& message, const string& file, const string& about) {
  string text;
  google::protobuf::TextFormat::Printer printer;
  CHECK(printer.PrintToString(message, &text));
  text = "# " + about + "\n" + text;
  std::ifstream before(file);
  const string there(std::istreambuf_iterator<char>(before), {});
  if (!there.empty() && there != text) {
    string old = file + ".old";
    for (int i = 2; caffe::PathExists(old); ++i) old = file + ".old" + std::to_string(i);
    caffe::WriteFile(old, there);
    std::cout << file << ": what was there is " << old << " now" << std::endl;
  }
  caffe::WriteFile(file, text);
}

int Crop() {
  return FLAGS_crop > 0 ? FLAGS_crop : metaperturb::DefaultCrop(FLAGS_model);
}

// H_norm is the height of the network's input unless it is given.
metaperturb::InsertOptions InsertOptions() {
  metaperturb::InsertOptions insert = InsertOptionsFromFlags();
  if (gflags::GetCommandLineFlagInfoOrDie("spatial_norm_factor").is_default && Crop() != 32) {
    insert.param.set_spatial_norm_factor(static_cast<float>(Crop()));
  }
  return insert;
}

enum Kind { PLAIN, PERTURBED, META };  // META: for the meta-solver, whose nets are all in TRAIN

metaperturb::ModelOptions ModelOptionsFromFlags(Kind kind) {
  ENFORCE(FLAGS_classes > 0) << "--classes=" << FLAGS_classes << ": must be positive";
  ENFORCE(FLAGS_crop >= 0) << "--crop=" << FLAGS_crop << ": must be positive";
  ENFORCE(FLAGS_batch > 0) << "--batch=" << FLAGS_batch << ": must be positive";
  ENFORCE(FLAGS_test_batch > 0) << "--test_batch=" << FLAGS_test_batch << ": must be positive";
  ENFORCE(FLAGS_test_samples > 0) << "--test_samples=" << FLAGS_test_samples
                                  << ": must be positive";
  metaperturb::ModelOptions options;
  options.classes = FLAGS_classes;
  options.crop = Crop();
  options.batch = FLAGS_batch;
  options.test_batch = FLAGS_test_batch;
  if (kind != PLAIN) options.test_samples = kind == META ? 1 : FLAGS_test_samples;
  options.accuracy_in_train = kind == META;
  options.train_source = FLAGS_train_source;
  options.test_source = FLAGS_test_source;
  return options;
}

NetParameter Network(Kind kind, const metaperturb::InsertOptions& insert) {
  const NetParameter plain = metaperturb::BuildModel(FLAGS_model, ModelOptionsFromFlags(kind));
  if (kind == PLAIN) return plain;
  NetParameter net;
  metaperturb::InsertMetaPerturb(plain, insert, &net);
  return net;
}

int64_t TestImages() {
  if (FLAGS_test_images > 0) return FLAGS_test_images;
  if (!caffe::PathExists(FLAGS_test_source)) return 10000;
  const int64_t images = metaperturb::CountRecords(FLAGS_test_source, caffe::DataParameter::LMDB);
  ENFORCE(images > 0) << "--test_source=" << FLAGS_test_source << ": has no images";
  return images;
}

void WriteFolder(const string& folder) {
  ENFORCE(FLAGS_max_iter > 0) << "--max_iter=" << FLAGS_max_iter << ": must be positive";
  ENFORCE(FLAGS_tests > 0) << "--tests=" << FLAGS_tests << ": must be positive";
  ENFORCE(FLAGS_test_images >= 0) << "--test_images=" << FLAGS_test_images
                                  << ": must not be negative";
  const int64_t test_images = TestImages();
  const auto base_lr = static_cast<float>(FLAGS_base_lr);
  ENFORCE(base_lr > 0 && std::isfinite(base_lr))
      << "--base_lr=" << FLAGS_base_lr << ": must be positive";
  metaperturb::InsertOptions insert = InsertOptions();
  if (FLAGS_anneal_iter == 0) {
    insert.param.set_anneal_iter(static_cast<uint32_t>(int64_t{FLAGS_max_iter} * 2 / 5));
  }
  // Before the folder is made: a mistake leaves none behind.
  const NetParameter networks[] = {Network(PLAIN, insert), Network(PERTURBED, insert)};
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  ENFORCE(!error) << folder << ": cannot be made: " << error.message();
  for (const bool mp : {false, true}) {
    const string suffix = mp ? "_mp.prototxt" : ".prototxt";
    const string about = FLAGS_model + (mp ? " with MetaPerturb" : "");
    metaperturb::SolverOptions options;
    options.net = folder + "/train_val" + suffix;
    options.snapshot_prefix = folder + "/" + FLAGS_model + (mp ? "_mp" : "");
    options.max_iter = FLAGS_max_iter;
    options.base_lr = base_lr;
    options.test_iter = static_cast<int>((test_images + FLAGS_test_batch - 1) / FLAGS_test_batch);
    options.tests = FLAGS_tests;
    options.seed = FLAGS_seed;
    Write(networks[mp], options.net,
          about + ". Train it with: caffe train --solver=" + folder + "/solver" + suffix);
    Write(metaperturb::BuildSolver(options), folder + "/solver" + suffix,
          "Adam, learning rate x0.3 at 40, 70 and 90 % of the run.");
  }
  insert.shared = true;
  insert.param.clear_phi();
  insert.param.clear_anneal_iter();
  Write(Network(META, insert), folder + "/meta_train_val.prototxt",
        FLAGS_model + " for `metaperturb train`: one phi, shared by all MetaPerturb layers.");
}

// A flag that would be without effect is a mistake.
void ExpectNotGiven(std::initializer_list<const char*> flags, const string& why) {
  for (const char* flag : flags) {
    ENFORCE(gflags::GetCommandLineFlagInfoOrDie(flag).is_default) << "--" << flag << ": " << why;
  }
}

}  // namespace

int RunGenerate() {
  ENFORCE(!FLAGS_model.empty()) << "--model is not given: "
                                << boost::algorithm::join(metaperturb::ModelNames(), ", ");
  ENFORCE(!FLAGS_output.empty()) << "--output is not given";
  string output = FLAGS_output;
  if (std::filesystem::path(output).extension() == ".prototxt") {
    ExpectNotGiven({"max_iter", "tests", "base_lr", "seed", "test_images"},
                   "is of the solvers, which only a folder as --output has");
    if (!FLAGS_mp) {
      ExpectNotGiven({"test_samples", "phi", "anneal_iter", "spatial_norm_factor"},
                     "is of MetaPerturb, which --mp puts into the network");
    }
    Write(Network(FLAGS_mp ? PERTURBED : PLAIN, InsertOptions()), output, FLAGS_model);
  } else {
    while (output.size() > 1 && output.back() == '/') output.pop_back();
    WriteFolder(output);
  }
  return 0;
}
